"""The confidence interval of a 95th percentile: what latency samples can tell apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

from contract.interval import Z95, Interval

#: Below this the upper rank for a 95th percentile falls beyond the largest sample.
_ENOUGH_FOR_P95 = 80


def p95_interval(latencies_ms: Sequence[float]) -> Interval | None:
    """95 % interval of the 95th percentile from order statistics, in ms.

    It makes no assumption on the shape of the distribution (David and Nagaraja, Order
    Statistics, 7.1). None where fewer than 80 samples leave the upper end open.
    """
    n = len(latencies_ms)
    if n < _ENOUGH_FOR_P95:
        return None
    ordered = sorted(latencies_ms)
    spread = Z95 * math.sqrt(n * 0.95 * 0.05)
    low = max(0, math.floor(n * 0.95 - spread))
    high = min(n, math.ceil(n * 0.95 + spread) + 1)
    return Interval(ordered[low], ordered[high - 1])
