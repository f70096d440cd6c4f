"""A host that exists in figures only, so that whole searches take a second."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from builder.outcome import Status
from builder.search.candidate import Candidate
from builder.search.trial import Measurement, Trial
from builder.search.workload import LayerKind, LayerShape, Workload
from contract.manifest import Scheme

IMAGES = 1000


@dataclass
class SimulatedHost:
    """Networks and a processor with a truth of their own, which no model of the search shares.

    Times follow a roofline layer by layer. Drops have a knee along the ratio, interactions
    between all changes, and differ from what sensitivities foretell in size and in shape.
    """

    #: Top-1 of each network's base.
    top1: dict[str, float]
    #: How much slower a network is than its work says.
    slowness: dict[str, float] = field(default_factory=dict)
    #: How many times faster INT8 multiplies than floats do.
    int8_speed: float = 4.0
    #: Deviation of times, as a share, and of accuracies.
    time_noise: float = 0.0
    top1_noise: float = 0.0
    #: Drop of static INT8.
    int8_drop: float = 0.001
    #: Ratio at which pruning begins to hurt.
    knee: float = 0.3
    seed: int = 0
    #: What happens instead of building a candidate, if anything.
    mishap: Callable[[Candidate, int], None] | None = None
    built: list[Candidate] = field(default_factory=list)

    def layers(self, candidate: Candidate) -> list[LayerShape]:
        """Ten convolutions and a Linear; pruning narrows the deeper half."""
        kept = 1 - (candidate.prune_ratio or 0.0)
        shapes, inputs, side = [], 3, candidate.input_size
        wide = 1.0 + 0.2 * list(self.top1).index(candidate.architecture)
        for place in range(10):
            channels = int(32 * 2 ** (place // 3) * wide * (kept if place >= 5 else 1.0))
            side = max(1, side // 2) if place % 3 == 0 else side
            weights = 9 * inputs * channels
            shapes.append(
                LayerShape(
                    kind=LayerKind.DENSE,
                    macs=weights * side**2,
                    weight_elements=weights,
                    output_elements=channels * side**2,
                )
            )
            inputs = channels
        return [
            *shapes,
            LayerShape(
                kind=LayerKind.LINEAR,
                macs=inputs * 10,
                weight_elements=inputs * 10,
                output_elements=10,
            ),
        ]

    def workload(self, candidate: Candidate) -> Workload:
        return Workload.of(self.layers(candidate), candidate.scheme)

    def prior_drop(self, candidate: Candidate) -> float:
        return 0.15 * (candidate.prune_ratio or 0.0) ** 2

    def p50_ms(self, candidate: Candidate) -> float:
        is_int8 = candidate.scheme is Scheme.STATIC_INT8
        speed = self.int8_speed if is_int8 else 1.0
        size = 1 if is_int8 else 4
        total = 0.0
        for layer in self.layers(candidate):
            moved = size * (layer.weight_elements + layer.output_elements)
            total += max(layer.macs / (2e7 * speed), moved / 1e7) + 0.004
        slowness = self.slowness.get(candidate.architecture, 1.0)
        return total * slowness * math.exp(self.time_noise * self._chance(candidate, 0))

    def true_top1(self, candidate: Candidate) -> float:
        ratio = candidate.prune_ratio or 0.0
        shrinking = math.log(64 / candidate.input_size)
        pruning = 0.01 * ratio + 0.9 * max(0.0, ratio - self.knee) ** 2
        int8 = self.int8_drop * (1 + 2 * ratio) if candidate.scheme is Scheme.STATIC_INT8 else 0.0
        drop = pruning + int8 + 0.25 * shrinking**2 * (1 + ratio) + 0.01 * shrinking
        noise = self.top1_noise * self._chance(candidate, 1)
        is_base = not ratio and not int8 and not shrinking
        top1 = self.top1[candidate.architecture] - drop + (0.0 if is_base else noise)
        return round(min(1.0, max(0.1, top1)) * IMAGES) / IMAGES

    def build(self, candidate: Candidate) -> Trial:
        self.built.append(candidate)
        if self.mishap is not None:
            self.mishap(candidate, len(self.built))
        return self.truth(candidate)

    def truth(self, candidate: Candidate) -> Trial:
        """How a trial of `candidate` ends."""
        layers = self.layers(candidate)
        return Trial(
            candidate=candidate,
            status=Status.BUILT,
            measurement=Measurement(
                top1=self.true_top1(candidate),
                p50_ms=self.p50_ms(candidate),
                bytes=sum(layer.weight_elements for layer in layers),
                macs=sum(layer.macs for layer in layers),
            ),
            seconds=1.0,
        )

    def _chance(self, candidate: Candidate, what: int) -> float:
        """Draw from the normal distribution, the same each time for the same candidate."""
        key = [
            self.seed,
            what,
            list(self.top1).index(candidate.architecture),
            int(100 * (candidate.prune_ratio or 0.0)),
            list(Scheme).index(candidate.scheme),
            candidate.input_size,
        ]
        return float(np.random.default_rng(key).standard_normal())
