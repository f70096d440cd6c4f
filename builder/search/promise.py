"""What a candidate promises: its predicted time and accuracy against what was found so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from builder.search.normal import Normal

#: Worst accuracy there is: even the fastest of all variants widens the front a little.
_LEAST_TOP1 = 0.0


@dataclass(frozen=True)
class Point:
    """Where a measured variant lies: less time and more accuracy are better."""

    log_ms: float
    top1: float


@dataclass(frozen=True)
class Promise:
    """Prediction of one candidate; time and accuracy are taken as independent."""

    #: Natural logarithm of the p50 in milliseconds.
    log_ms: Normal
    top1: Normal

    def hypervolume_gain(self, front: Sequence[Point], slowest_log_ms: float) -> float:
        """Expected growth of the area that the front dominates.

        The area lies between the front, `slowest_log_ms` and a top-1 of 0. Each strip of it
        under one step of the front adds the expected time won times the expected accuracy won
        (Emmerich, Deutz and Klinkenberg, IEEE Congress on Evolutionary Computation 2011; in
        strips as Yang and others, Journal of Global Optimization 75, 2019).

        Args:
            front: Pareto front by rising time.
            slowest_log_ms: where time ceases to count.
        """
        gain = 0.0
        for fast, slow, top1 in _steps(front, slowest_log_ms):
            time = self.log_ms.shortfall(slow)
            if fast > -math.inf:
                time -= self.log_ms.shortfall(fast)
            gain += max(0.0, time) * self.top1.excess(top1)
        return gain

    def chance_of_front(self, front: Sequence[Point]) -> float:
        """Probability that nothing on the front dominates it."""
        chance = 0.0
        for fast, slow, top1 in _steps(front, math.inf):
            before = self.log_ms.below(fast) if fast > -math.inf else 0.0
            until = self.log_ms.below(slow) if slow < math.inf else 1.0
            chance += (until - before) * (1 - self.top1.below(top1))
        return chance

    def expected_saving(self, fastest: Point | None, least_top1: float) -> float:
        """Expected saving of time against `fastest`, where the accuracy meets the bar.

        Constrained expected improvement: the expected improvement times the probability that
        the bar is met (Schonlau, Welch and Jones, IMS Lecture Notes 34, 1998, p. 11). It
        closes in on the bar from both sides as a bisection does. With no `fastest` only the
        probability counts.
        """
        meets = 1 - self.top1.below(least_top1)
        return meets if fastest is None else meets * self.log_ms.shortfall(fastest.log_ms)


def _steps(front: Sequence[Point], slowest_log_ms: float) -> list[tuple[float, float, float]]:
    """Steps below the front: from one time to the next, and the top-1 that stands there."""
    starts = [-math.inf, *(point.log_ms for point in front)]
    ends = [*(point.log_ms for point in front), max(slowest_log_ms, starts[-1])]
    heights = [_LEAST_TOP1, *(point.top1 for point in front)]
    return list(zip(starts, ends, heights, strict=True))
