"""What a variant is worth, in one sentence."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence

import msgspec

from builder.front import pareto_front
from builder.report.entry import Entry
from builder.report.gap import Gap
from builder.report.wording import percent, points, scheme_words, times
from contract.manifest import Scheme

#: Two latencies nearer than this are the same to whoever waits.
_LEVEL = 1.02
#: From this share on, saved work should be seen in time.
_NOTABLE_MACS = 0.03


class Cost(enum.StrEnum):
    """What accuracy is held against."""

    LATENCY = "latency"
    SIZE = "size"
    MACS = "macs"


class Verdict(enum.StrEnum):
    """How a variant stands among the others of its set."""

    #: Nothing else is as cheap and as accurate.
    FRONT = "front"
    #: Likewise, but its lead over a cheaper one may be chance.
    FRONT_BY_CHANCE = "front-by-chance"
    #: Slower than what it was made from.
    SLOWER = "slower"
    #: It saves work, and no time.
    NO_GAIN = "no-gain"
    #: Less accurate than the baseline, beyond chance.
    LOST = "lost"
    #: Another one is cheaper and at least as accurate.
    DOMINATED = "dominated"
    #: Another one is as good.
    LEVEL = "level"
    UNTIMED = "untimed"


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one variant, and the sentence that says it."""

    variant: str
    verdict: Verdict
    words: str
    #: A variant that is cheaper and at least as accurate.
    beaten_by: str | None = None


_CHEAPER = {Cost.LATENCY: "as fast", Cost.SIZE: "smaller", Cost.MACS: "lighter"}


def cost_of(cost: Cost) -> Callable[[Entry], float]:
    """How to read a cost; what was not timed costs without end."""
    readers: dict[Cost, Callable[[Entry], float]] = {
        Cost.LATENCY: lambda entry: float("inf") if entry.p50_ms is None else entry.p50_ms,
        Cost.SIZE: lambda entry: float(entry.bytes),
        Cost.MACS: lambda entry: float(entry.macs),
    }
    return readers[cost]


def front_of(entries: Sequence[Entry], cost: Cost) -> list[Entry]:
    """Entries that no other one beats in accuracy and `cost`, cheapest first."""
    if cost is Cost.LATENCY:
        entries = [entry for entry in entries if entry.p50_ms is not None]
    return pareto_front(entries, gain=lambda entry: entry.top1, costs=[cost_of(cost)])


def judge_all(
    entries: Sequence[Entry], cost: Cost, *, gap_between: Callable[[Entry, Entry], Gap]
) -> list[Judgement]:
    """Judge each entry by accuracy and `cost`, in order.

    Args:
        entries: all variants of the set.
        cost: what accuracy is held against.
        gap_between: how much more accurate the first of two entries is.
    """
    front = front_of(entries, cost)
    baseline = next((entry.variant for entry in entries if entry.is_baseline), None)
    return [_judge(entry, front, baseline, cost, gap_between) for entry in entries]


def _judge(
    entry: Entry,
    front: Sequence[Entry],
    baseline: str | None,
    cost: Cost,
    gap_between: Callable[[Entry, Entry], Gap],
) -> Judgement:
    if cost is Cost.LATENCY and entry.p50_ms is None:
        return Judgement(
            variant=entry.variant,
            verdict=Verdict.UNTIMED,
            words=f"could not be timed: {entry.timing_failure or 'no timing of it'}",
        )
    if entry in front:
        return _on_front(entry, front, cost, gap_between)
    beaten_by = _best_instead(entry, front, cost)
    verdict, words = _shortfall(entry, beaten_by, cost, baseline)
    return Judgement(
        variant=entry.variant, verdict=verdict, words=words, beaten_by=beaten_by.variant
    )


def _on_front(
    entry: Entry,
    front: Sequence[Entry],
    cost: Cost,
    gap_between: Callable[[Entry, Entry], Gap],
) -> Judgement:
    place = front.index(entry)
    if place and (lead := gap_between(entry, front[place - 1])).may_be_chance:
        cheaper = front[place - 1]
        factor = cost_of(cost)(entry) / cost_of(cost)(cheaper)
        return Judgement(
            variant=entry.variant,
            verdict=Verdict.FRONT_BY_CHANCE,
            words=f"on the front, but its lead of {points(lead.difference)} may be chance; "
            f"{cheaper.variant} is {_cheaper_words(factor, cost)}",
        )
    if place == len(front) - 1:
        words = "on the front: the most accurate"
    elif place == 0:
        words = f"on the front: {_cheapest_words(cost)}"
    else:
        words = f"on the front: nothing else is {_as_cheap_words(cost)} and as accurate"
    if len(front) == 1:
        words = f"on the front: the most accurate, and {_cheapest_words(cost)}"
    return Judgement(variant=entry.variant, verdict=Verdict.FRONT, words=words)


def _shortfall(
    entry: Entry, better: Entry, cost: Cost, baseline: str | None
) -> tuple[Verdict, str]:
    factor = cost_of(cost)(entry) / max(cost_of(cost)(better), 1e-12)
    instead = (
        f"{better.variant} is {_cheaper_words(factor, cost)} and {_accuracy_words(entry, better)}"
    )
    if cost is Cost.LATENCY and (found := _no_faster(entry)) is not None:
        return found[0], f"{found[1]}; {instead}"
    if not entry.is_baseline and entry.gap is not None and entry.gap.high < 0:
        return Verdict.LOST, f"loses {points(entry.gap.difference)} against {baseline}; {instead}"
    if factor < _LEVEL and better.top1 == entry.top1:
        return Verdict.LEVEL, f"as accurate and {_cheaper_words(factor, cost)} as {better.variant}"
    return Verdict.DOMINATED, f"dominated: {instead}"


def _no_faster(entry: Entry) -> tuple[Verdict, str] | None:
    """Say that what was done to a network brought no time, where it did not."""
    low, high = entry.own_speedup_low, entry.own_speedup_high
    if entry.variant == entry.own_base or low is None or high is None:
        return None
    if high < 1:
        longer = times(1 / (entry.own_speedup or high))
        words = f"takes {longer} as long as {entry.own_base}: {_means(entry)} does not pay here"
        return Verdict.SLOWER, words
    saved = entry.macs_saved_share or 0.0
    if low <= 1 and saved >= _NOTABLE_MACS:
        words = f"saves {percent(saved, 0)} of the MACs of {entry.own_base} and no measurable time"
        return Verdict.NO_GAIN, words
    if low <= 1 and entry.scheme is not Scheme.FP32:
        words = f"no faster than {entry.own_base}: {_means(entry)} does not pay here"
        return Verdict.NO_GAIN, words
    return None


def _means(entry: Entry) -> str:
    """What was done to the network."""
    means = []
    if entry.pruned_share is not None:
        means.append(f"pruning {percent(entry.pruned_share, 0)} of the filters")
    if entry.scheme is not Scheme.FP32:
        means.append(scheme_words(entry.scheme))
    return " with ".join(means) or f"an input of {entry.input_size} px"


def _best_instead(entry: Entry, front: Sequence[Entry], cost: Cost) -> Entry:
    """Return the most accurate of those on the front that leave nothing to say for `entry`."""
    read = cost_of(cost)
    better = [other for other in front if other.top1 >= entry.top1 and read(other) <= read(entry)]
    return max(better, key=lambda other: (other.top1, -read(other)))


def _accuracy_words(entry: Entry, better: Entry) -> str:
    if better.top1 == entry.top1:
        return "as accurate"
    return f"{points(better.top1 - entry.top1)} more accurate"


def _cheaper_words(factor: float, cost: Cost) -> str:
    if factor < _LEVEL:
        return _as_cheap_words(cost)
    return f"{times(factor)} {_CHEAPER[cost]}"


def _as_cheap_words(cost: Cost) -> str:
    return {
        Cost.LATENCY: "as fast",
        Cost.SIZE: "as small",
        Cost.MACS: "as light",
    }[cost]


def _cheapest_words(cost: Cost) -> str:
    return {
        Cost.LATENCY: "the fastest",
        Cost.SIZE: "the smallest",
        Cost.MACS: "the least work",
    }[cost]
