"""Lets a box cool down between two sustained runs, so that each begins as cool as the first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.probes.thermal import temperature_c

#: As near to where it began as a zone's own noise allows.
_NEAR_C = 3.0
#: A passive heat sink gives off most of its heat in this time; a fan needs a tenth of it.
_MOST_SECONDS = 120.0
_LOOK_SECONDS = 2.0


def cool_down(root: Path, *, to_c: float | None, rest: Callable[[float], None]) -> float:
    """Seconds rested until the box was near `to_c`, or the time was up.

    Where the box tells no temperature nobody could say when it has cooled down, and it goes on
    at once.

    Args:
        root: where `/sys` is found.
        to_c: temperature at which the sweep began; None where it was not told.
        rest: waits so many seconds; its errors go through.
    """
    rested_s = 0.0
    while to_c is not None and rested_s < _MOST_SECONDS:
        now_c = temperature_c(root)
        if now_c is None or now_c <= to_c + _NEAR_C:
            break
        rest(_LOOK_SECONDS)
        rested_s += _LOOK_SECONDS
    return rested_s
