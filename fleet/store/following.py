"""Rows as they are added to a table, by their numbers."""

from __future__ import annotations

import sqlalchemy as sa

from fleet.store.dialect import is_among

#: A transaction that takes longer than this to end is not waited for.
_LATE_S = 30.0
#: Numbers that are waited for at most; a batch of another collector takes 2,000.
_WAITED_FOR = 10_000


class Following:
    """What was added since the last look.

    PostgreSQL gives numbers when rows are written, and transactions end in another order: a
    lower number may appear after a higher one. Numbers that were passed over are looked for
    again for half a minute.

    Args:
        column: the numbers.
        after: follow from behind this one.
    """

    def __init__(self, column: sa.Column[int], after: int) -> None:
        self._column = column
        self._after = after
        #: Numbers that may still come, and when they were passed over.
        self._missing: dict[int, float] = {}

    @property
    def place(self) -> int:
        """Everything up to this number was told; beyond it, some may have been."""
        return min(self._missing, default=self._after + 1) - 1

    def added(self, connection: sa.Connection, *, limit: int, now: float) -> list[int]:
        """Numbers that were added, at most `limit` new ones and those that came late."""
        late = self._late(connection, now)
        fresh = list(
            connection.scalars(
                sa.select(self._column)
                .where(self._column > self._after)
                .order_by(self._column)
                .limit(limit)
            )
        )
        for number in fresh:
            if number == self._after + 1:
                self._after = number
                continue
            first = max(self._after + 1, number - _WAITED_FOR)
            # A new one each time: a copy of this object keeps what it had.
            self._missing = self._missing | dict.fromkeys(range(first, number), now)
            self._after = number
        return late + fresh

    def _late(self, connection: sa.Connection, now: float) -> list[int]:
        if not self._missing:
            return []
        found = list(
            connection.scalars(
                sa.select(self._column)
                .where(is_among(connection, self._column, self._missing))
                .order_by(self._column)
            )
        )
        self._missing = {
            number: since
            for number, since in self._missing.items()
            if number not in found and now - since < _LATE_S
        }
        return found


def highest(connection: sa.Connection, column: sa.Column[int]) -> int:
    """The highest number; 0 where there is no row."""
    return connection.scalar(sa.select(sa.func.max(column))) or 0
