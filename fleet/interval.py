"""Confidence intervals, 95 % throughout: what a measurement can tell apart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

#: Two-sided 95 % point of the normal distribution.
_Z = 1.959963984540054
#: Below this the upper rank for a 95th percentile falls beyond the largest sample.
_ENOUGH_FOR_P95 = 80


class Interval(msgspec.Struct, frozen=True):
    """A closed interval, in the unit of what it bounds."""

    low: float
    high: float


def wilson(share: float, n: int) -> Interval:
    """Score interval of a share that was counted on `n` images (Wilson 1927).

    With no image nothing is known: 0 to 1.
    """
    if n == 0:
        return Interval(0.0, 1.0)
    z2 = _Z * _Z
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return Interval(max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


def share_gap(higher: float, n_higher: int, lower: float, n_lower: int) -> Interval:
    """Interval of the difference `higher - lower` of two shares (Newcombe 1998, method 10).

    It treats the two as independent. Variants counted on the same images are paired, which
    would tell closer shares apart, but a run carries only totals: two variants with e1 and e2
    errors differ on at most e1 + e2 images, and in that worst case the paired variance is the
    independent one. So the interval is safe, and wider than pairs would need.
    """
    first, second = wilson(higher, n_higher), wilson(lower, n_lower)
    gap = higher - lower
    return Interval(
        gap - math.hypot(higher - first.low, second.high - lower),
        gap + math.hypot(first.high - higher, lower - second.low),
    )


def p95_interval(latencies_ms: Sequence[float]) -> Interval | None:
    """Interval of the 95th percentile from order statistics, in ms.

    It makes no assumption on the shape of the distribution (David and Nagaraja, Order
    Statistics, 7.1). None where fewer than 80 samples leave the upper end open.
    """
    n = len(latencies_ms)
    if n < _ENOUGH_FOR_P95:
        return None
    ordered = sorted(latencies_ms)
    spread = _Z * math.sqrt(n * 0.95 * 0.05)
    low = max(0, math.floor(n * 0.95 - spread))
    high = min(n, math.ceil(n * 0.95 + spread) + 1)
    return Interval(ordered[low], ordered[high - 1])
