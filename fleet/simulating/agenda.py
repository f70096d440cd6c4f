"""What is to happen later, in its order."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class Agenda:
    """Actions, each at its time, by a clock that never jumps."""

    def __init__(self) -> None:
        self._waiting: list[tuple[float, int, Callable[[], None]]] = []
        #: Of two at the same time, the one that was noted first is first.
        self._numbers = itertools.count()

    def at(self, due_s: float, action: Callable[[], None]) -> None:
        """Do this at that time, or soon after."""
        heapq.heappush(self._waiting, (due_s, next(self._numbers), action))

    def do_due(self, now_s: float) -> None:
        """Do all whose time has come; what they put on the agenda for now waits for the next."""
        due = []
        while self._waiting and self._waiting[0][0] <= now_s:
            due.append(heapq.heappop(self._waiting))
        for _, _, action in due:
            action()
