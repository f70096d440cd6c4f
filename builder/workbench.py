"""The bench that a search works at: the builder itself, one candidate at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.bundles.shelf import Shelf
from builder.errors import BuilderError, UnsupportedError
from builder.groundwork import settled
from builder.measuring.timing import time_set
from builder.network_build import NetworkBuild
from builder.networks.pooling import fold_enlarging_pools
from builder.outcome import Status
from builder.planning import NetworkPlan
from builder.progress import Progress
from builder.search.candidate import Candidate, Space
from builder.search.layer_shapes import layer_shapes
from builder.search.trial import Measurement, Trial
from builder.search.workload import LayerShape, Workload
from builder.workspace import Workspace
from contract.manifest import Scheme

#: Top-1 lost for each nat that pruning adds to the loss untuned, after tuning. Seen: ResNet-18
#: at 64 px on CIFAR-10 with half of its filters gone, about 2 points for 1 nat.
_DROP_PER_NAT = 0.02
#: What schemes cost where nothing is known yet.
_DROP_OF = {Scheme.STATIC_INT8: 0.002, Scheme.DYNAMIC_INT8: 0.001, Scheme.BF16: 0.0005}


@dataclass(frozen=True, kw_only=True)
class _Sketch:
    """A network's layers by input size, and the loss (nats) that its pruning may add untuned."""

    shapes: Mapping[int, list[LayerShape]]
    loss: float


class BuilderWorkbench:
    """Builds, examines and times candidates, and says what can be said before.

    Everything built stays in the bundle set; what stands there from an earlier search or
    build of the same inputs is not built again.
    """

    def __init__(
        self,
        space: Space,
        builds: Mapping[str, tuple[NetworkPlan, NetworkBuild]],
        *,
        out: Path,
        shelf: Shelf,
        workspace: Workspace,
        keep_evalset: Callable[[NetworkPlan], None],
        progress: Progress,
    ) -> None:
        """Work with the networks of `builds`, by architecture, on the set in `out`.

        `keep_evalset` is told of each network of which something was built.
        """
        self._space = space
        self._builds = builds
        self._out = out
        self._shelf = shelf
        self._workspace = workspace
        self._keep_evalset = keep_evalset
        self._progress = progress
        self._sketches: dict[tuple[str, float | None], _Sketch] = {}

    def workload(self, candidate: Candidate) -> Workload:
        """Work of the candidate for one image."""
        sketch = self._sketch(candidate)
        return Workload.of(sketch.shapes[candidate.input_size], candidate.scheme)

    def prior_drop(self, candidate: Candidate) -> float:
        """Drop of top-1 against its network's base that measured sensitivities foretell."""
        return _DROP_PER_NAT * self._sketch(candidate).loss + _DROP_OF.get(candidate.scheme, 0.0)

    def build(self, candidate: Candidate) -> Trial:
        """Build, examine and time one candidate.

        Raises:
            UnsupportedError: its network cannot have these changes.
            BuilderError: it could not be built or timed.
        """
        started = time.monotonic()
        plan, build = self._builds[candidate.architecture]
        variant = plan.plan(candidate.spec(plan.rule.input_size))
        outcome = settled(variant, self._shelf) or next(build.run([variant]))
        if outcome.manifest is None or outcome.member is None:
            kind = UnsupportedError if outcome.status is Status.UNSUPPORTED else BuilderError
            raise kind(outcome.reason or f"{variant.name} was not built")
        self._keep_evalset(plan)
        timings = time_set(self._out, workspace=self._workspace, progress=self._progress)
        timing = timings[variant.name]
        if timing.p50_ms is None:
            message = f"{variant.name} cannot be timed here: {timing.reason}"
            raise BuilderError(message)
        # At the baseline's pace, so that trials of different hours compare.
        pace = timings[self._space.name(self._space.baseline)].p50_ms
        fair = pace / timing.speedup if pace and timing.speedup else timing.p50_ms
        return Trial(
            candidate=candidate,
            status=outcome.status,
            measurement=Measurement(
                top1=outcome.manifest.accuracy.top1,
                p50_ms=fair,
                bytes=outcome.member.bytes,
                macs=outcome.manifest.macs,
                hits=outcome.manifest.accuracy.hits,
            ),
            seconds=time.monotonic() - started,
        )

    def _sketch(self, candidate: Candidate) -> _Sketch:
        key = (candidate.architecture, candidate.prune_ratio)
        if key not in self._sketches:
            _, build = self._builds[candidate.architecture]
            if candidate.prune_ratio is None:
                network, loss = build.stems.whole(), 0.0
            else:
                network, loss = build.stems.sketch(candidate.prune_ratio)
            sizes = self._space.input_sizes[candidate.architecture]
            self._sketches[key] = _Sketch(
                shapes={
                    size: layer_shapes(fold_enlarging_pools(network, size)[0], size)
                    for size in sizes
                },
                loss=loss,
            )
        return self._sketches[key]
