"""How sure the median of samples is."""

from __future__ import annotations

import math
from collections.abc import Sequence

from contract.interval import Interval

_TAIL = 0.025


def median_interval(samples: Sequence[float]) -> Interval | None:
    """Distribution-free 95 % confidence interval of the median, or None below six samples.

    The order statistics whose ranks a binomial (n, 1/2) leaves with at most 2.5 % on either
    side: David and Nagaraja, Order Statistics, section 7.1. It takes the samples as
    independent.
    """
    ordered = sorted(samples)
    n = len(ordered)
    below, tail = 0, 0.5**n
    while tail <= _TAIL:
        below += 1
        tail += math.comb(n, below) / 2**n
    return Interval(ordered[below - 1], ordered[n - below]) if below else None
