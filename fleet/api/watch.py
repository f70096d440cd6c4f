"""What changes in place in the store, and is no row of its own: looked at and compared."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

import sqlalchemy as sa

from fleet.store.lately import Generations, presence_of_each

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")

#: Changes that are kept for listeners who read slowly.
_KEPT = 10_000
_EVERY_S = 1.0


class Watch(Generic[_Key, _Value]):
    """Changes between looks, shared by all listeners: the store is asked once for all of them.

    Args:
        read: everything as it is now; None: the same as at the last look.
        every_s: time between two looks; what changes there and back within it is not seen.
    """

    def __init__(
        self,
        read: Callable[[sa.Connection], Mapping[_Key, _Value] | None],
        *,
        every_s: float,
    ) -> None:
        self._read = read
        self._every_s = every_s
        self._lock = threading.Lock()
        self._looked_at = float("-inf")
        self._known: Mapping[_Key, _Value] | None = None
        self._changes: deque[tuple[int, _Key, _Value]] = deque(maxlen=_KEPT)
        self._number = 0

    def begin(self, connection: sa.Connection, *, now: float) -> int:
        """The number to ask `since` with first: what changes from now on."""
        with self._lock:
            self._look(connection, now)
            return self._number

    def since(
        self, connection: sa.Connection, number: int, *, now: float
    ) -> tuple[int, Collection[tuple[_Key, _Value]], bool]:
        """What changed after a number: the next number, the changes, whether any were lost."""
        with self._lock:
            if now - self._looked_at >= self._every_s:
                self._look(connection, now)
            lost = bool(self._changes) and number + 1 < self._changes[0][0]
            found = [(key, value) for at, key, value in self._changes if at > number]
            return self._number, found, lost

    def _look(self, connection: sa.Connection, now: float) -> None:
        present = self._read(connection)
        self._looked_at = now
        if present is None:
            return
        before, self._known = self._known, present
        if before is None:
            return
        for key, value in present.items():
            if before.get(key) != value:
                self._number += 1
                self._changes.append((self._number, key, value))


class Watches:
    """What the API looks at for its listeners, while there are any."""

    def __init__(self) -> None:
        self.presence: Watch[int, str] = Watch(presence_of_each, every_s=_EVERY_S)
        self.desired: Watch[tuple[str, str], int] = Watch(Generations().read, every_s=_EVERY_S)
