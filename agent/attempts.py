"""Ways to prepare a network for this CPU, best first, and how to fall back cleanly."""

from __future__ import annotations

from collections.abc import Callable

from agent.protocol import Preparation
from agent.supervisor import Outcome
from contract.benchmark import RunStatus
from contract.manifest import Scheme

#: Seen with torch 2.13: optimising for inference makes ResNet-18 at 64 px 1.6 times as fast,
#: FP32 and dynamic INT8 alike (whose convolutions are FP32), with logits within 5e-7 of their
#: range; but VGG at 64 px then fails in its adaptive pooling, which runs well when only frozen.
_LADDERS = {
    Scheme.FP32: (Preparation.OPTIMIZED, Preparation.FROZEN, Preparation.AS_BUILT),
    Scheme.DYNAMIC_INT8: (Preparation.OPTIMIZED, Preparation.FROZEN, Preparation.AS_BUILT),
    Scheme.STATIC_INT8: (Preparation.FROZEN, Preparation.AS_BUILT),
}
#: What another preparation may cure: rewritten graphs need more memory and other kernels.
_CURABLE = frozenset(
    {
        RunStatus.CRASHED,
        RunStatus.OOM,
        RunStatus.UNSUPPORTED,
        RunStatus.WRONG_NUMERICS,
    },
)


def climb_down(
    scheme: Scheme,
    attempt: Callable[[Preparation], Outcome],
) -> tuple[Outcome, list[str]]:
    """First outcome that is well, else the last one, and a note for every step down.

    Each attempt is a fresh process, so that figures never carry a failed one's memory.
    """
    notes: list[str] = []
    ladder = list(_LADDERS[scheme])
    while True:
        preparation = ladder.pop(0)
        outcome = attempt(preparation)
        if outcome.status is RunStatus.OK:
            return outcome, notes
        if outcome.status not in _CURABLE or not ladder:
            # Every way failed, so none of the preparations is to blame.
            return outcome, []
        notes.append(f"not {preparation.value}: {outcome.status.value}: {outcome.reason}")
        if outcome.status is RunStatus.OOM:
            # The network as it was built needs least.
            ladder = ladder[-1:]
