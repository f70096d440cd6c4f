"""Clocks of boxes, right and wrong."""

from __future__ import annotations

import enum

import msgspec

from fleet.simulating.chance import chance

_YEAR_S = 365.25 * 86_400.0
#: A quartz drifts by parts in a million; a virtual machine that is starved, by parts in a hundred.
_DRIFTS_BY = 0.02


class ClockFault(enum.StrEnum):
    """What is wrong with a clock."""

    NONE = "none"
    #: No battery, and no time from the network: it began with the box, in 1970.
    SINCE_1970 = "1970"
    DRIFTING = "drifting"
    #: Somebody set the year.
    AHEAD = "ahead"


class BoxClock(msgspec.Struct, frozen=True):
    """What a box takes for the time; `started_at` is when it was started, in true time."""

    fault: ClockFault
    started_at: float
    drift: float = 0.0

    def at(self, now: float) -> float:
        """Seconds since the epoch as the box sees them, at a true time."""
        up_s = now - self.started_at
        match self.fault:
            case ClockFault.SINCE_1970:
                return up_s
            case ClockFault.DRIFTING:
                return now + up_s * self.drift
            case ClockFault.AHEAD:
                return now + _YEAR_S
            case _:
                return now


def draw_clock(seed: int, index: int, *, faults: float, started_at: float) -> BoxClock:
    """The clock of a box; a share of them, `faults`, is wrong."""
    draw = chance("clock", seed, index)
    if draw.random() >= faults:
        return BoxClock(ClockFault.NONE, started_at)
    wrong = [fault for fault in ClockFault if fault is not ClockFault.NONE]
    return BoxClock(draw.choice(wrong), started_at, draw.choice((-_DRIFTS_BY, _DRIFTS_BY)))
