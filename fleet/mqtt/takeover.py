"""Notices that another client connects with our id again and again.

MQTT 3.1.1 does not say why a broker ends a connection (section 3.1.4 has it end the one that had
the id before). But a broker that ended a connection and takes the next one at once was neither
away nor restarted; where that happens several times in a short while, somebody has our id too.
"""

from __future__ import annotations

from collections import deque

_TIMES = 3
_WITHIN_S = 300.0
#: The next mention, where it goes on.
_AGAIN_AFTER_S = 3600.0


class TakeoverDetector:
    """Counts connections that a broker ended although it was there.

    Times are by the monotonic clock.
    """

    def __init__(self) -> None:
        self._is_in = False
        #: Whether the last connection was ended, and no attempt has failed since.
        self._is_suspicious = False
        self._ended_at: deque[float] = deque(maxlen=_TIMES)
        self._told_at: float | None = None

    def note_end(self, now: float) -> None:
        """The connection, if there was one, was ended by the other side."""
        self._is_suspicious, self._is_in = self._is_in, False
        if self._is_suspicious:
            self._ended_at.append(now)

    def note_failure(self) -> None:
        """The broker could not be reached, or refused us: it had reasons of its own."""
        if self._is_suspicious:
            self._is_suspicious = False
            self._ended_at.pop()

    def note_accepted(self, now: float) -> bool:
        """The broker took a connection; whether it is time to say that another has our id."""
        self._is_in, self._is_suspicious = True, False
        if len(self._ended_at) < _TIMES or now - self._ended_at[0] > _WITHIN_S:
            return False
        if self._told_at is not None and now - self._told_at < _AGAIN_AFTER_S:
            return False
        self._told_at = now
        return True
