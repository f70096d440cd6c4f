"""Messages that matter for a minute: kept in memory until the broker has them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

#: The oldest make room: who asked so much has stopped listening for them.
_MOST = 256
_KEPT_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One message for one topic."""

    topic: str
    payload: bytes
    expires_at: float


class Letters:
    """Letters of one device; `post` may be called from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: deque[Letter] = deque(maxlen=_MOST)
        self._underway: dict[int, Letter] = {}

    def post(self, topic: str, payload: bytes) -> None:
        """Take a letter to be sent soon; where the broker is away for long it expires."""
        letter = Letter(topic=topic, payload=payload, expires_at=self._clock() + _KEPT_SECONDS)
        with self._lock:
            self._waiting.append(letter)

    def send_all(self, send: Callable[[Letter], int]) -> None:
        """Give every letter that waits to `send`, which returns a number for `delivered`."""
        while (letter := self._next()) is not None:
            try:
                number = send(letter)
            except BaseException:
                self._put_back([letter])
                raise
            self._underway[number] = letter

    def delivered(self, numbers: Collection[int]) -> None:
        """Forget letters that the broker has."""
        for number in numbers:
            self._underway.pop(number, None)

    def connection_lost(self) -> None:
        """Send again what the broker may not have."""
        self._put_back(list(self._underway.values()))
        self._underway.clear()

    def _next(self) -> Letter | None:
        with self._lock:
            while self._waiting:
                letter = self._waiting.popleft()
                if letter.expires_at > self._clock():
                    return letter
        return None

    def _put_back(self, letters: list[Letter]) -> None:
        with self._lock:
            self._waiting.extendleft(reversed(letters))
