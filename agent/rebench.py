"""When a finished sweep is old enough to be measured again, by clocks that may be wrong."""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.sweeplog import SweepState

_SECONDS_PER_HOUR = 3600.0


class Rebench:
    """Tells old sweeps.

    A sweep is old when the clock says so, or when this process has seen it finished for that
    long. A sweep that ended in the future, for the clock was ahead then, is thus measured
    again after `hours` of running, and not only when the clock gets there. It is not measured
    again at once: a box without a battery starts in 1970, where every sweep is in the future,
    and would measure at each start.

    Args:
        hours: after which a sweep is old; None for never.
        clock: seconds since 1970, which may jump.
        uptime: seconds of running, which never jump.
    """

    def __init__(
        self,
        hours: float | None,
        *,
        clock: Callable[[], float] = time.time,
        uptime: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hours = hours
        self._clock = clock
        self._uptime = uptime
        self._sweep_id: str | None = None
        self._seen_at = 0.0

    def is_due(self, state: SweepState) -> bool:
        """Whether this sweep, where it is finished, should be measured again now."""
        if self._hours is None or state.finished_at is None:
            return False
        if state.sweep_id != self._sweep_id:
            self._sweep_id, self._seen_at = state.sweep_id, self._uptime()
        by_clock = self._clock() - state.finished_at
        by_uptime = self._uptime() - self._seen_at
        return max(by_clock, by_uptime) > self._hours * _SECONDS_PER_HOUR
