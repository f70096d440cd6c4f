"""Which places of one outbox are closed, and how far without a gap."""

from __future__ import annotations

import bisect

import msgspec


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
        index = bisect.bisect_right(self.islands, seq, key=lambda island: island[0])
        return index > 0 and self.islands[index - 1][1] >= seq

    def close(self, first: int, last: int) -> Watermark:
        """Return the watermark with the places `first` to `last`, both included, closed."""
        if last <= self.through:
            return self
        if first <= self.through + 1 and not self.islands:
            return Watermark(last)
        lower: list[tuple[int, int]] = []
        upper: list[tuple[int, int]] = []
        for island in self.islands:
            if island[1] + 1 < first:
                lower.append(island)
            elif last + 1 < island[0]:
                upper.append(island)
            else:
                first, last = min(first, island[0]), max(last, island[1])
        if first <= self.through + 1:
            return Watermark(last, tuple(upper))
        return Watermark(self.through, (*lower, (first, last), *upper))
