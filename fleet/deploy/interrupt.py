"""A person's wish to end a deploy, which every wait of it looks at."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from fleet.errors import DeployInterruptedError


class Interrupt:
    """Set by a signal, checked by whoever waits; one box may be held back from it.

    Args:
        event: what a signal sets; several boxes share it.
    """

    def __init__(self, event: threading.Event | None = None) -> None:
        self._event = event or threading.Event()
        self._is_held_off = False

    def request(self) -> None:
        """Ask all who share the event to end."""
        self._event.set()

    @property
    def is_due(self) -> bool:
        """Whether to end now."""
        return self._event.is_set() and not self._is_held_off

    def check(self) -> None:
        """Pass where there is no wish to end.

        Raises:
            DeployInterruptedError: there is.
        """
        if self.is_due:
            message = "interrupted"
            raise DeployInterruptedError(message)

    def for_one_box(self) -> Interrupt:
        """Another view of the same wish, which holds it off for itself."""
        return Interrupt(self._event)

    @contextlib.contextmanager
    def held_off(self) -> Iterator[None]:
        """Let what takes back a failed deploy come to its end."""
        before, self._is_held_off = self._is_held_off, True
        try:
            yield
        finally:
            self._is_held_off = before
