"""How well a box repeats itself: what fresh processes say of the same median."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from contract.interval import Z95, Interval

#: 97.5 % points of Student's t for 1 to 10 degrees of freedom; beyond, the series is exact to
#: the third digit.
_T975 = (12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281)


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Standard deviation of a process's median around the variant's, as a share of it.

    A process draws its own memory layout, and its block of time its own neighbours: what
    differs between processes is not seen by any number of samples from one of them. See
    Kalibera and Jones, Rigorous Benchmarking in Reasonable Time (ISMM 2013).
    """

    deviation: float
    degrees_of_freedom: int

    @classmethod
    def pooled(cls, groups: Sequence[Sequence[float]]) -> Spread | None:
        """Spread of all `groups`: of each variant, the medians of its processes in ms.

        They share a box and an hour, so each alone may be as small as two: the deviations
        from the groups' own means are pooled, on the logarithm, which makes shares of them.
        None where no group has two.
        """
        squares, degrees = 0.0, 0
        for medians_ms in groups:
            logs = [math.log(median_ms) for median_ms in medians_ms if median_ms > 0.0]
            if len(logs) > 1:
                centre = statistics.fmean(logs)
                squares += sum((log - centre) ** 2 for log in logs)
                degrees += len(logs) - 1
        if degrees == 0:
            return None
        return cls(deviation=math.sqrt(squares / degrees), degrees_of_freedom=degrees)

    def around(self, medians_ms: Sequence[float]) -> Interval:
        """95 % interval of a variant's median from the medians of at least one process, in ms."""
        centre = statistics.fmean(math.log(median_ms) for median_ms in medians_ms)
        margin = _t975(self.degrees_of_freedom) * self.deviation / math.sqrt(len(medians_ms))
        return Interval(math.exp(centre - margin), math.exp(centre + margin))


def _t975(degrees: int) -> float:
    """97.5 % point of Student's t: Abramowitz and Stegun (1964), 26.7.5."""
    if degrees <= len(_T975):
        return _T975[degrees - 1]
    z = Z95
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / degrees + second / degrees**2
