"""Ways to prepare a network for this CPU: which is fastest here, and how to fall back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.protocol import Preparation
from agent.supervisor import Outcome
from contract.benchmark import RunStatus
from contract.manifest import Manifest, Scheme

Attempt = Callable[[Preparation], Outcome]

#: Rewritten for this CPU first. Seen with torch 2.13: VGG at 64 px then fails in its adaptive
#: pooling, which runs well when only frozen.
_OPTIMIZED_FIRST = (Preparation.OPTIMIZED, Preparation.FROZEN, Preparation.AS_BUILT)
_FROZEN_FIRST = (Preparation.FROZEN, Preparation.AS_BUILT)
#: What another preparation may cure: rewritten graphs need more memory and other kernels.
_CURABLE = frozenset(
    {
        RunStatus.CRASHED,
        RunStatus.OOM,
        RunStatus.UNSUPPORTED,
        RunStatus.WRONG_NUMERICS,
    },
)


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What shares its fastest preparation: the same layers on the same input and cores."""

    architecture: str
    input_size: int
    threads: int


def preparations(manifest: Manifest, *, known: str | None = None) -> Sequence[Preparation]:
    """Ways to prepare a network, the one to try first in front.

    Static INT8 and bfloat16 have nothing to optimise and are only frozen. Dynamic INT8 takes
    part like FP32, for its convolutions are FP32.

    Args:
        manifest: of the network.
        known: the fastest one, as it was measured here; None where nothing is known.
    """
    is_plain = manifest.quantization.scheme in {Scheme.STATIC_INT8, Scheme.BF16}
    ladder: Sequence[Preparation] = _FROZEN_FIRST if is_plain else _OPTIMIZED_FIRST
    values = [preparation.value for preparation in ladder]
    return ladder[values.index(known) :] if known in values else ladder


def below(ladder: Sequence[Preparation], status: RunStatus) -> Sequence[Preparation]:
    """What is left to try once the first of a ladder failed with a status."""
    if status not in _CURABLE:
        return ()
    # The network as it was built needs least memory.
    return ladder[1:][-1:] if status is RunStatus.OOM else ladder[1:]


class Contest:
    """Finds the fastest preparation by measuring, once for all variants of a kind.

    Optimising for inference is not always a gain. Seen with torch 2.13 on one core of an AMD
    EPYC (Zen 5), ResNet-18: 1.1 to 1.4 times as fast at 48 to 224 px, but 7.7 instead of
    4.9 ms at 32 px.

    Args:
        median_ms: median latency that an outcome tells; None where it tells none.
    """

    def __init__(self, median_ms: Callable[[Outcome], float | None]) -> None:
        self._median_ms = median_ms
        self._is_optimizing_slower: dict[_Kind, bool] = {}

    def is_open(self, manifest: Manifest, threads: int) -> bool:
        """Whether `run` is going to measure more than one preparation."""
        if preparations(manifest) == _FROZEN_FIRST:
            return False
        return _kind(manifest, threads) not in self._is_optimizing_slower

    def run(
        self,
        manifest: Manifest,
        threads: int,
        attempt: Attempt,
    ) -> tuple[Outcome, list[str]]:
        """Outcome of the fastest preparation that works, and notes on the others."""
        ladder = preparations(manifest)
        if ladder == _FROZEN_FIRST:
            return climb_down(ladder, attempt)
        kind = _kind(manifest, threads)
        known = self._is_optimizing_slower.get(kind)
        if known:
            outcome, notes = climb_down(_FROZEN_FIRST, attempt)
            told = f"not optimized: that was slower for {kind.architecture} at {kind.input_size} px"
            return outcome, [told, *notes]
        outcome, notes = climb_down(_OPTIMIZED_FIRST, attempt)
        if known is not None or notes:
            return outcome, notes
        optimized_ms = self._median_ms(outcome)
        if optimized_ms is None:
            return outcome, notes
        rival = attempt(Preparation.FROZEN)
        frozen_ms = self._median_ms(rival)
        is_slower = frozen_ms is not None and frozen_ms < optimized_ms
        self._is_optimizing_slower[kind] = is_slower
        if not is_slower:
            return outcome, notes
        return rival, [f"not optimized: {optimized_ms:.3g} ms against {frozen_ms:.3g} ms frozen"]


def _kind(manifest: Manifest, threads: int) -> _Kind:
    return _Kind(
        architecture=manifest.architecture,
        input_size=manifest.preprocessing.input_size,
        threads=threads,
    )


def climb_down(
    ladder: Sequence[Preparation],
    attempt: Attempt,
) -> tuple[Outcome, list[str]]:
    """First outcome that is well, else the last one, and a note for every step down.

    Each attempt is a fresh process, so that figures never carry a failed one's memory.
    """
    notes: list[str] = []
    while True:
        preparation = ladder[0]
        outcome = attempt(preparation)
        if outcome.status is RunStatus.OK:
            return outcome, notes
        ladder = below(ladder, outcome.status)
        if not ladder:
            # Every way failed, so none of the preparations is to blame.
            return outcome, []
        notes.append(f"not {preparation.value}: {outcome.status.value}: {outcome.reason}")
