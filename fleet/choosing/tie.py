"""When two measurements are too close to call."""

from __future__ import annotations

from contract.interval import Interval, share_gap
from fleet.choosing.build import Build
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
        return shares_tie(metric, one, other)
    if abs(a - b) <= MATERIAL_SHARE * min(abs(a), abs(b)):
        return True
    if metric not in _LATENCIES:
        return False
    first, second = _latency_span(metric, one, a), _latency_span(metric, other, b)
    return first.low <= second.high and second.low <= first.high


def shares_tie(metric: Metric, one: Build | Candidate, other: Build | Candidate) -> bool:
    """Whether two shares of images cannot be told apart; unmeasured ties with unmeasured alone."""
    # A drop is a difference of top-1 shares against one baseline, so top-1 decides.
    if metric is Metric.TOP1_DROP and (one.top1_drop is None or other.top1_drop is None):
        return one.top1_drop is other.top1_drop
    if metric is Metric.TOP3:
        return _tie(one.top3, one.accuracy_images, other.top3, other.accuracy_images)
    return _tie(one.top1, one.accuracy_images, other.top1, other.accuracy_images)


def _tie(share: float, images: int, other: float, other_images: int) -> bool:
    if share < other:
        share, images, other, other_images = other, other_images, share, images
    return share_gap(share, images, other, other_images).low <= 0


def latency_interval(metric: Metric, candidate: Candidate, value: float) -> Interval | None:
    """95 % interval of a median or p95 latency, in ms; None of other metrics or where unknown.

    A p95 without an interval of its own has the median's, scaled to the value.
    """
    if metric not in _LATENCIES:
        return None
    if metric is Metric.P95_MS and candidate.p95_interval_ms is not None:
        own = candidate.p95_interval_ms
        return Interval(min(own.low, value), max(own.high, value))
    low, high, median = candidate.ci_low_ms, candidate.ci_high_ms, candidate.p50_ms
    if low is None or high is None or not median:
        return None
    return Interval(value * min(1.0, low / median), value * max(1.0, high / median))


def _latency_span(metric: Metric, candidate: Candidate, value: float) -> Interval:
    return latency_interval(metric, candidate, value) or Interval(value, value)
