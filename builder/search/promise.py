"""What a candidate promises: its predicted time and accuracy against what was found so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from builder.search.normal import Normal


@dataclass(frozen=True)
class Point:
    """Where a measured variant lies: less time and more accuracy are better."""

    #: Natural logarithm of the p50 in milliseconds.
    log_ms: float
    top1: float


@dataclass(frozen=True)
class Promise:
    """Prediction of one candidate; time and accuracy are taken as independent."""

    #: Natural logarithm of the p50 in milliseconds.
    log_ms: Normal
    top1: Normal

    def chance_of_front(self, front: Sequence[Point]) -> float:
        """Probability that nothing on `front`, by rising time, is as fast and as accurate.

        It is summed up over the steps below the front: the probability of a time between one
        point and the next, times that of an accuracy above the step.
        """
        chance, before, height = 0.0, 0.0, -math.inf
        for point in front:
            until = self.log_ms.below(point.log_ms)
            chance += (until - before) * (1 - self.top1.below(height))
            before, height = until, point.top1
        return chance + (1 - before) * (1 - self.top1.below(height))

    def expected_saving(self, fastest: Point | None, least_top1: float) -> float:
        """Expected saving of time against `fastest`, where the accuracy meets the bar.

        Constrained expected improvement: the expected improvement times the probability that
        the bar is met (Schonlau, Welch and Jones, IMS Lecture Notes 34, 1998, p. 11). It
        closes in on the bar from both sides as a bisection does. With no `fastest` only the
        probability counts.
        """
        meets = 1 - self.top1.below(least_top1)
        return meets if fastest is None else meets * self.log_ms.shortfall(fastest.log_ms)
