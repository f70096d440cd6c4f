"""By how much one candidate is better than another, and how sure that is."""

from __future__ import annotations

import math

import msgspec

from contract.interval import Z95, Interval, share_gap
from fleet.choosing.candidate import Candidate
from fleet.choosing.metric import Direction, Metric
from fleet.choosing.tie import is_tie, latency_interval

#: Beyond this a confidence is as good as certain, and more digits say nothing.
_NEARLY_SURE = 0.999

#: Figures or ends of intervals apart by more than this factor are no measurements of one kind.
_BEYOND_TELLING = 1e6


class Margin(msgspec.Struct, frozen=True, kw_only=True):
    """The pick's figure against a rival's.

    `change` and the ends of its 95 % interval are shares of the rival's figure (-0.1: a tenth
    lower), and for shares of images differences (0.01: one point more). None where it cannot
    be said; a figure without an interval has no `low`, `high` and `confidence`.
    """

    metric: Metric
    pick: float | None
    rival: float | None
    change: float | None = None
    low: float | None = None
    high: float | None = None
    #: That the pick is really better, from 0 to 1.
    confidence: float | None = None
    #: Whether the two count as equal for choosing.
    is_tie: bool
    words: str


def margin_between(metric: Metric, pick: Candidate, rival: Candidate) -> Margin:
    """Compare two candidates in one metric.

    * Shares of images: Newcombe's interval of a difference (see `share_gap`). A drop is the
      difference of top-1 against one baseline, so it is compared by top-1.
    * Median and p95 latency: the ratio, from the two intervals on the logarithm, where
      latencies are near normal. The interval's ends are put together as in Newcombe's method,
      which keeps uneven intervals uneven (MOVER: Zou and Donner, Statistics in Medicine 27,
      2008, p. 1693).
    * Everything else: the ratio without an interval.

    The confidence reads the same interval as a normal distribution about the difference, with
    the deviation of the side towards zero: it passes 97.5 % exactly where the interval no
    longer holds zero (a confidence distribution: Xie and Singh, International Statistical
    Review 81, 2013, p. 3).
    """
    ours, theirs = metric.of(pick), metric.of(rival)
    if ours is None or theirs is None:
        return Margin(
            metric=metric,
            pick=ours,
            rival=theirs,
            is_tie=ours is theirs,
            words=_unmeasured_words(metric, ours, theirs),
        )
    if metric.is_share:
        gap: tuple[float, Interval | None] | None = _share_change(metric, pick, rival)
    else:
        gap = _relative_change(metric, pick, rival, ours, theirs)
    tied = is_tie(metric, pick, rival)
    band = "within the tie band" if tied else "beyond the tie band"
    against = f"{metric.value} {metric.words(ours)} against {metric.words(theirs)}"
    if gap is None:
        words = f"{against}, {band}"
        return Margin(metric=metric, pick=ours, rival=theirs, is_tie=tied, words=words)
    change, interval = gap
    confidence = None if interval is None else _confidence(metric, change, interval)
    words = f"{against}, {_change_words(metric, change, interval)}, {band}"
    return Margin(
        metric=metric,
        pick=ours,
        rival=theirs,
        change=change,
        low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        confidence=confidence,
        is_tie=tied,
        words=words if confidence is None else f"{words}; {_confidence_words(confidence)}",
    )


def _share_change(metric: Metric, pick: Candidate, rival: Candidate) -> tuple[float, Interval]:
    is_top3 = metric is Metric.TOP3
    ours, theirs = (one.top3 if is_top3 else one.top1 for one in (pick, rival))
    gap = share_gap(ours, pick.accuracy_images, theirs, rival.accuracy_images)
    if metric.better is Direction.MAX:
        return ours - theirs, gap
    return theirs - ours, Interval(-gap.high, -gap.low)


def _relative_change(
    metric: Metric, pick: Candidate, rival: Candidate, ours: float, theirs: float
) -> tuple[float, Interval | None] | None:
    if ours <= 0 or theirs <= 0 or not 1 / _BEYOND_TELLING < ours / theirs < _BEYOND_TELLING:
        return None
    first, second = latency_interval(metric, pick, ours), latency_interval(metric, rival, theirs)
    change = ours / theirs - 1
    if first is None or second is None or first.low <= 0 or second.low <= 0:
        return change, None
    centre = math.log(ours / theirs)
    below = math.hypot(math.log(ours / first.low), math.log(second.high / theirs))
    above = math.hypot(math.log(first.high / ours), math.log(theirs / second.low))
    if max(below, above) > math.log(_BEYOND_TELLING):
        return change, None
    return change, Interval(math.expm1(centre - below), math.expm1(centre + above))


def _confidence(metric: Metric, change: float, interval: Interval) -> float | None:
    """Chance that the difference is really on the pick's side."""
    low, centre, high = interval.low, change, interval.high
    if not metric.is_share:
        low, centre, high = (math.log1p(one) for one in (low, centre, high))
    half = centre - low if centre > 0 else high - centre
    if half <= 0:
        return None
    above = _normal(Z95 * centre / half)
    return above if metric.better is Direction.MAX else 1 - above


def _normal(deviations: float) -> float:
    return (1 + math.erf(deviations / math.sqrt(2))) / 2


def _unmeasured_words(metric: Metric, ours: float | None, theirs: float | None) -> str:
    shown = ["unmeasured" if one is None else metric.words(one) for one in (ours, theirs)]
    return f"{metric.value} {shown[0]} against {shown[1]}"


def _change_words(metric: Metric, change: float, interval: Interval | None) -> str:
    unit = "points" if metric.is_share else "%"
    text = f"{_amount(change)} {unit} {'lower' if change < 0 else 'higher'}"
    if change == 0:
        text = "no difference"
    if interval is None:
        return text if metric is Metric.SIZE_MB else f"{text} (it has no interval)"
    low, high = interval.low, interval.high
    if low >= 0 or high <= 0:
        near, far = sorted((abs(low), abs(high)))
        return f"{text} (95 % interval {_amount(near)} to {_amount(far)} {unit})"
    return f"{text} (95 % interval {_amount(low)} {unit} lower to {_amount(high)} {unit} higher)"


def _amount(share: float) -> str:
    return f"{abs(share) * 100:.2g}" if abs(share) < 1 else f"{abs(share) * 100:.0f}"


def _confidence_words(confidence: float) -> str:
    if confidence > _NEARLY_SURE:
        said = "more than 99.9"
    elif confidence < 1 - _NEARLY_SURE:
        said = "less than 0.1"
    else:
        said = f"{confidence * 100:.3g}"
    return f"the pick is really better with a confidence of {said} %"
