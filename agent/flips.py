"""Variants that change places while a box gets warm."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import permutations

from agent.observation import Key
from contract.benchmark import BenchRun

#: Two variants closer than this stand side by side, and no order can flip.
_APART = 1.02


def rank_flips(runs: Sequence[BenchRun]) -> dict[Key, list[str]]:
    """Sentences on who overtook whom, by the variant and thread count that fell behind.

    Args:
        runs: of one sweep; only sustained ones can flip, at equal threads.
    """
    found: dict[Key, list[str]] = defaultdict(list)
    for loser, winner in permutations(runs, 2):
        if loser.threads == winner.threads and _fell_behind(loser, winner):
            found[loser.variant, loser.threads].append(
                f"rank flip: {loser.variant} was faster than {winner.variant} in its first "
                f"minute ({loser.first_minute_p50_ms:.3g} against "
                f"{winner.first_minute_p50_ms:.3g} ms) and is slower at the end "
                f"({loser.p50_ms:.3g} against {winner.p50_ms:.3g} ms)"
            )
    return found


def _fell_behind(loser: BenchRun, winner: BenchRun) -> bool:
    if loser.first_minute_p50_ms is None or winner.first_minute_p50_ms is None:
        return False
    if loser.p50_ms is None or winner.p50_ms is None:
        return False
    was_faster = winner.first_minute_p50_ms / loser.first_minute_p50_ms > _APART
    return was_faster and loser.p50_ms / winner.p50_ms > _APART
