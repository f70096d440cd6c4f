"""What a list of latencies says: percentiles, and how sure the median is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from contract.interval import Interval, median_interval

#: Fewer samples say nothing about one in a hundred (DESIGN section 5).
MIN_SAMPLES_FOR_P99 = 1000


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Latency figures of one run, in milliseconds."""

    n: int
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float | None
    ci_low_ms: float | None
    ci_high_ms: float | None


def summarize(samples_ms: Sequence[float], *, beside: Interval | None = None) -> Summary:
    """Percentiles and the median's 95 % confidence interval of at least one sample.

    Args:
        samples_ms: latencies.
        beside: another interval of the same median, from what samples of one process do not
            tell; the interval that is returned covers both.
    """
    ordered = sorted(samples_ms)
    interval = _covering([median_interval(ordered), beside], percentile(ordered, 0.50))
    return Summary(
        n=len(ordered),
        p50_ms=percentile(ordered, 0.50),
        p90_ms=percentile(ordered, 0.90),
        p95_ms=percentile(ordered, 0.95),
        p99_ms=percentile(ordered, 0.99) if len(ordered) >= MIN_SAMPLES_FOR_P99 else None,
        ci_low_ms=interval.low if interval else None,
        ci_high_ms=interval.high if interval else None,
    )


def _covering(intervals: Sequence[Interval | None], median_ms: float) -> Interval | None:
    known = [interval for interval in intervals if interval is not None]
    if not known:
        return None
    return Interval(
        min(median_ms, *(interval.low for interval in known)),
        max(median_ms, *(interval.high for interval in known)),
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
