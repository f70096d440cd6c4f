"""Vouches for the agent's threads: the supervisor's watchdog is put off only while all live."""

from __future__ import annotations

import time
from collections.abc import Callable

from agent.systemd import Notifier

#: The supervisor is told this many times in the time that it waits.
_TELLINGS = 3


class Pulse:
    """The sign of life of one thread, which calls `beat` again and again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        """Show that the thread is alive."""
        self._last = self._clock()

    def silence_s(self) -> float:
        """Seconds since the last beat."""
        return self._clock() - self._last


class Watchdog:
    """Asked by the main thread at every turn; a main thread that hangs does not ask.

    Args:
        notifier: where to tell.
        pulses: of all other threads; each must beat within the time that the supervisor waits.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        notifier: Notifier,
        pulses: list[Pulse],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._notifier = notifier
        self._pulses = pulses
        self._clock = clock
        self._due_at = clock()

    def turn_s(self, most_s: float) -> float:
        """How long a thread may sleep at once, `most_s` without a watchdog."""
        watchdog_s = self._notifier.watchdog_s
        return most_s if watchdog_s is None else min(most_s, watchdog_s / (2 * _TELLINGS))

    def turn(self) -> None:
        """Tell that the agent is alive, where that is due and true."""
        watchdog_s = self._notifier.watchdog_s
        now = self._clock()
        if watchdog_s is None or now < self._due_at:
            return
        if any(pulse.silence_s() > watchdog_s for pulse in self._pulses):
            return
        self._due_at = now + watchdog_s / _TELLINGS
        self._notifier.alive()
