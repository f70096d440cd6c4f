"""Wakes a thread that sleeps in `select`, from another thread or from a signal handler."""

from __future__ import annotations

import contextlib
import select
import socket

#: Rings that nobody heard yet are one ring.
_ENOUGH_BYTES = 4096


class Bell:
    """A bell that one thread waits for and any other may ring.

    A ring is not lost where nobody waits: the next wait ends at once.
    """

    def __init__(self) -> None:
        self._ear, self._hand = socket.socketpair()
        for end in (self._ear, self._hand):
            end.settimeout(0.0)

    def ring(self) -> None:
        """End the present wait, or the next one; nothing happens once the bell is closed."""
        # Where it was rung so often that no byte fits, it will be heard all the same.
        with contextlib.suppress(OSError):
            self._hand.send(b"\0")

    def wait(self, timeout_s: float) -> bool:
        """Wait for a ring; False where none came within `timeout_s`."""
        select.select([self], [], [], timeout_s)
        return self.take()

    def take(self) -> bool:
        """Whether it rang since this was asked last."""
        try:
            return bool(self._ear.recv(_ENOUGH_BYTES))
        except BlockingIOError:
            return False

    def fileno(self) -> int:
        """Descriptor for `select`: readable once it rang."""
        return self._ear.fileno()

    def close(self) -> None:
        """Give its descriptors back."""
        self._ear.close()
        self._hand.close()
