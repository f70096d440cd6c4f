"""When two measurements are too close to call."""

from __future__ import annotations

from contract.interval import Interval, share_gap
from fleet.choosing.candidate import Candidate
from fleet.choosing.metric import Metric

#: A choice, not a measurement: a smaller difference is not worth changing a device for,
#: however well it was measured.
MATERIAL_SHARE = 0.02

_LATENCIES = frozenset({Metric.P50_MS, Metric.P95_MS})


def is_tie(metric: Metric, one: Candidate, other: Candidate) -> bool:
    """Whether the measurements of `metric` cannot tell two candidates apart.

    * Shares of images: the 95 % interval of their difference contains zero.
    * Median and p95 latency: their 95 % intervals overlap, or they differ by less than 2 %.
    * Other measured figures carry no interval: they differ by less than 2 %.
    * File sizes are exact and tie only when equal. Unmeasured ties with unmeasured alone.
    """
    a, b = metric.of(one), metric.of(other)
    if a is None or b is None:
        return a is b
    if metric is Metric.SIZE_MB:
        return a == b
    if metric.is_share:
        return _shares_tie(metric, one, other)
    if abs(a - b) <= MATERIAL_SHARE * min(abs(a), abs(b)):
        return True
    if metric not in _LATENCIES:
        return False
    first, second = _latency_interval(metric, one, a), _latency_interval(metric, other, b)
    return first.low <= second.high and second.low <= first.high


def _shares_tie(metric: Metric, one: Candidate, other: Candidate) -> bool:
    # A drop is a difference of top-1 shares against one baseline, so top-1 decides.
    counted = Metric.TOP3 if metric is Metric.TOP3 else Metric.TOP1
    low, high = sorted((one, other), key=counted.cost, reverse=True)
    lower, higher = counted.of(low), counted.of(high)
    if lower is None or higher is None:
        return lower is higher
    return share_gap(higher, high.accuracy_images, lower, low.accuracy_images).low <= 0


def _latency_interval(metric: Metric, candidate: Candidate, value: float) -> Interval:
    """Interval of a latency; without its own, the median's, scaled to the value."""
    if metric is Metric.P95_MS and candidate.p95_interval_ms is not None:
        own = candidate.p95_interval_ms
        return Interval(min(own.low, value), max(own.high, value))
    low, high, median = candidate.ci_low_ms, candidate.ci_high_ms, candidate.p50_ms
    if low is None or high is None or not median:
        return Interval(value, value)
    return Interval(value * min(1.0, low / median), value * max(1.0, high / median))
