"""Which places of one outbox are closed, and how far without a gap."""

from __future__ import annotations

import bisect

import msgspec

#: Devices send in order, some at a time; collectors that share their results leave gaps for a
#: moment. Whoever leaves more of them makes every batch cost more.
MOST_ISLANDS = 1_000


class Watermark(msgspec.Struct, frozen=True):
    """Closed places 1 to `through`, and closed ranges (`islands`) beyond a gap.

    Islands are sorted, disjoint and never adjacent, so closing the next place in order
    costs the same however many came before.
    """

    through: int = 0
    islands: tuple[tuple[int, int], ...] = ()

    @property
    def highest(self) -> int:
        """Highest closed place; 0 where none is."""
        return self.islands[-1][1] if self.islands else self.through

    @property
    def missing(self) -> int:
        """How many places below the highest are not closed."""
        return self.highest - self.through - sum(last - first + 1 for first, last in self.islands)

    def is_closed(self, seq: int) -> bool:
        """Whether `seq` is stored, rejected or given up."""
        if seq <= self.through:
            return True
        index = bisect.bisect_right(self.islands, seq, key=_start)
        return index > 0 and self.islands[index - 1][1] >= seq

    def close(self, first: int, last: int) -> Watermark:
        """Return the watermark with the places `first` to `last`, both included, closed."""
        if last <= self.through:
            return self
        if first <= self.through + 1 and not self.islands:
            return Watermark(last)
        islands = self.islands
        lowest = bisect.bisect_left(islands, first - 1, key=_end)
        beyond = bisect.bisect_right(islands, last + 1, key=_start)
        if lowest < beyond:
            first = min(first, islands[lowest][0])
            last = max(last, islands[beyond - 1][1])
        if first <= self.through + 1:
            return Watermark(last, islands[beyond:])
        return Watermark(self.through, (*islands[:lowest], (first, last), *islands[beyond:]))

    def takes(self, first: int, last: int) -> bool:
        """Whether `first` to `last` may be closed: not where one gap too many would be left."""
        if len(self.islands) < MOST_ISLANDS or first <= self.through + 1:
            return True
        lowest = bisect.bisect_left(self.islands, first - 1, key=_end)
        return lowest < bisect.bisect_right(self.islands, last + 1, key=_start)


def _start(island: tuple[int, int]) -> int:
    return island[0]


def _end(island: tuple[int, int]) -> int:
    return island[1]
