"""What a list of latencies says: percentiles, and how sure the median is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

#: Fewer samples say nothing about one in a hundred (DESIGN section 5).
MIN_SAMPLES_FOR_P99 = 1000
_TAIL = 0.025


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Latency figures of one run, in milliseconds."""

    n: int
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float | None
    ci_low_ms: float | None
    ci_high_ms: float | None


def summarize(samples_ms: Sequence[float]) -> Summary:
    """Percentiles and the median's 95 % confidence interval of at least one sample."""
    ordered = sorted(samples_ms)
    interval = _median_interval(ordered)
    return Summary(
        n=len(ordered),
        p50_ms=percentile(ordered, 0.50),
        p90_ms=percentile(ordered, 0.90),
        p95_ms=percentile(ordered, 0.95),
        p99_ms=percentile(ordered, 0.99) if len(ordered) >= MIN_SAMPLES_FOR_P99 else None,
        ci_low_ms=interval[0] if interval else None,
        ci_high_ms=interval[1] if interval else None,
    )


def percentile(ordered: Sequence[float], share: float) -> float:
    """Value below which `share` (0..1) of the ascending `ordered` lies.

    Linear between neighbours: Hyndman and Fan (1996), type 7, as numpy's default.
    """
    place = (len(ordered) - 1) * share
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    low, high = ordered[below], ordered[above]
    # Never outside its neighbours, whatever the rounding.
    return min(max(low + (high - low) * (place - below), low), high)


def thin(samples: Sequence[float], limit: int) -> list[float]:
    """At most `limit` of the samples, evenly spread over time and in their order."""
    if len(samples) <= limit:
        return list(samples)
    return [samples[i * len(samples) // limit] for i in range(limit)]


def _median_interval(ordered: Sequence[float]) -> tuple[float, float] | None:
    """Distribution-free 95 % confidence interval of the median, or None below six samples.

    The order statistics whose ranks a binomial (n, 1/2) leaves with at most 2.5 % on either
    side: David and Nagaraja, Order Statistics, section 7.1. It takes the samples as
    independent.
    """
    n = len(ordered)
    log_half_n = n * math.log(0.5)
    below, tail = 0, 0.0
    while True:
        log_ways = math.lgamma(n + 1) - math.lgamma(below + 1) - math.lgamma(n - below + 1)
        tail += math.exp(log_ways + log_half_n)
        if tail > _TAIL:
            break
        below += 1
    if below == 0:
        return None
    return ordered[below - 1], ordered[n - below]
