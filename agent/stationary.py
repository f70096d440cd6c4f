"""Whether a latency has settled: a test for trend over windows of equal length."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import combinations

from contract.benchmark import Window
from contract.interval import Z95

#: Windows that are looked at together: a minute at five seconds each.
SPAN = 12
#: What a trend may add up to over the span and still not matter.
_SMALL_SHARE = 0.01
#: A change that no noise excuses, however insignificant it is.
_LARGE_SHARE = 0.05
#: Heat that still rises will slow the processor sooner or later.
_WARMING_C = 1.5


def is_stationary(windows: Sequence[Window]) -> bool:
    """Whether the last `SPAN` windows show neither a trend of the latency nor of the heat.

    A trend is Theil and Sen's slope over the whole span (Sen 1968). One below 1 % does not
    matter. One of 1 to 5 % counts where Kendall's test for trend (Mann 1945) tells it from
    chance at 5 %. One beyond 5 % always counts.
    """
    if len(windows) < SPAN:
        return False
    last = windows[-SPAN:]
    if _is_warming(last):
        return False
    medians_ms = [window.p50_ms for window in last]
    change = abs(_slope(medians_ms)) * (SPAN - 1) / statistics.median(medians_ms)
    if change < _SMALL_SHARE:
        return True
    return change < _LARGE_SHARE and not _has_trend(medians_ms)


def _is_warming(windows: Sequence[Window]) -> bool:
    half = SPAN // 2
    early = [w.temperature_c for w in windows[:half] if w.temperature_c is not None]
    late = [w.temperature_c for w in windows[half:] if w.temperature_c is not None]
    if not early or not late:
        return False
    return statistics.fmean(late) - statistics.fmean(early) > _WARMING_C


def _slope(values: Sequence[float]) -> float:
    """Median slope of all pairs, per window."""
    return statistics.median(
        (values[j] - values[i]) / (j - i) for i, j in combinations(range(len(values)), 2)
    )


def _has_trend(values: Sequence[float]) -> bool:
    n = len(values)
    score = sum(
        (values[j] > values[i]) - (values[j] < values[i]) for i, j in combinations(range(n), 2)
    )
    deviation = math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    # One is taken off for continuity.
    return (abs(score) - 1) / deviation > Z95
