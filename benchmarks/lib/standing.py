"""How each point of a grid stands against what a search tried."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import msgspec

from benchmarks.lib.rounds import Ratio
from builder.report.gap import Gap

#: A difference of time that means nothing: what the search itself takes for a tie.
_TIE = 0.02
#: Accuracies are shares of counted images: a difference of rounding is none.
_ROUNDING = 1e-9


class Standing(enum.StrEnum):
    """What the search has to show for a point of the grid, the most that is true."""

    #: It tried this very variant.
    SAME = "same"
    #: Another variant is at least as fast and as accurate.
    DOMINATED = "dominated"
    #: Another one is, as far as this benchmark can tell apart.
    WITHIN = "within measurement"
    MISSED = "not covered"


@dataclass(frozen=True, kw_only=True)
class Rivalry:
    """One variant that the search tried, held against one of the grid."""

    tried: str
    #: How many times faster it is.
    speed: Ratio
    #: Its top-1 less that of the grid's.
    gap: Gap

    @property
    def is_as_fast(self) -> bool:
        """Whether its time is no longer."""
        return self.speed.times_faster >= 1

    @property
    def may_be_as_fast(self) -> bool:
        """Whether its time is no longer beyond a tie, or may be no longer."""
        high = self.speed.high
        return self.speed.times_faster * (1 + _TIE) >= 1 or (high is not None and high >= 1)

    @property
    def is_as_accurate(self) -> bool:
        """Whether its top-1 is no lower."""
        return self.gap.difference >= -_ROUNDING

    @property
    def may_be_as_accurate(self) -> bool:
        """Whether its top-1 may be no lower."""
        return self.is_as_accurate or self.gap.high >= 0

    @property
    def dominates(self) -> bool:
        """Whether it is as fast and as accurate."""
        return self.is_as_fast and self.is_as_accurate

    @property
    def may_dominate(self) -> bool:
        """Whether it may be as fast and as accurate."""
        return self.may_be_as_fast and self.may_be_as_accurate


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One point of the grid."""

    variant: str
    standing: Standing
    #: The variant that the search has to show for it, the most accurate of several.
    by: str | None
    speed: Ratio | None
    gap: Gap | None
    #: Where it is not covered: how much longer (share) the fastest takes that may be as
    #: accurate, and how much top-1 (share) the most accurate lacks that may be as fast; None
    #: where there is no such variant.
    time_missed: float | None = None
    top1_missed: float | None = None


Compare = Callable[[str, str], Rivalry]


def judge(grid: Sequence[str], tried: Sequence[str], compare: Compare) -> Iterator[Verdict]:
    """Verdict on each point of `grid`.

    Args:
        grid: variants of the grid.
        tried: variants that the search tried.
        compare: holds one that was tried against one of the grid.
    """
    for variant in grid:
        rivals = [compare(one, variant) for one in tried if one != variant]
        if variant in tried:
            yield Verdict(variant=variant, standing=Standing.SAME, by=variant, speed=None, gap=None)
        elif dominant := [rival for rival in rivals if rival.dominates]:
            yield _covered(variant, Standing.DOMINATED, dominant)
        elif possible := [rival for rival in rivals if rival.may_dominate]:
            yield _covered(variant, Standing.WITHIN, possible)
        else:
            yield _missed(variant, rivals)


def _covered(variant: str, standing: Standing, rivals: Sequence[Rivalry]) -> Verdict:
    best = max(rivals, key=lambda rival: (rival.gap.difference, rival.speed.times_faster))
    return Verdict(
        variant=variant, standing=standing, by=best.tried, speed=best.speed, gap=best.gap
    )


def _missed(variant: str, rivals: Sequence[Rivalry]) -> Verdict:
    accurate = [1 / one.speed.times_faster - 1 for one in rivals if one.may_be_as_accurate]
    fast = [-one.gap.difference for one in rivals if one.may_be_as_fast]
    return Verdict(
        variant=variant,
        standing=Standing.MISSED,
        by=None,
        speed=None,
        gap=None,
        time_missed=min(accurate, default=None),
        top1_missed=min(fast, default=None),
    )


def spanned(points: Sequence[tuple[float, float]], worst: tuple[float, float]) -> float:
    """Area between the front of `points` and `worst`: the hypervolume of two objectives.

    Zitzler and Thiele, IEEE Transactions on Evolutionary Computation 3, 1999.

    Args:
        points: a cost and a gain each.
        worst: the cost and the gain beyond which nothing counts.
    """
    limit, floor = worst
    area, height = 0.0, floor
    for cost, gain in sorted(points, key=lambda point: (point[0], -point[1])):
        if cost < limit and gain > height:
            area += (limit - cost) * (gain - height)
            height = gain
    return area
