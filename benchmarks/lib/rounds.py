"""Timing side by side: all contenders in turn, in rounds, in a new order every round.

Whatever changes slowly (clock, temperature, a neighbour's load) then meets all of them, and
a ratio taken within a round is free of it. Within a contender's turn a few untimed calls come
first: they bring its weights back into the caches and its instructions' clock back into force.
"""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from agent.statistics import percentile, summarize

_MS_PER_NS = 1e-6

Work = Callable[[], object]
#: Milliseconds of every timed call, by round.
Samples = Sequence[Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How much is timed."""

    rounds: int
    untimed_calls: int = 2
    timed_calls: int = 3


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Median of all timed calls, with its 95 % interval; None below six calls."""

    p50_ms: float
    low_ms: float | None
    high_ms: float | None
    calls: int


class Ratio(msgspec.Struct, frozen=True, kw_only=True):
    """How many times faster `contender` is than `reference`: the median over the rounds.

    Each round gives one ratio, of its two medians. The 95 % interval is that of the median
    of these; None below six rounds.
    """

    contender: str
    reference: str
    times_faster: float
    low: float | None
    high: float | None
    rounds: int


def time_in_rounds(
    works: Mapping[str, Work],
    pace: Pace,
    *,
    seed: int,
    on_round: Callable[[int], None],
    clock_ns: Callable[[], int] = time.perf_counter_ns,
) -> dict[str, list[list[float]]]:
    """Milliseconds of the timed calls of each work, by round.

    Args:
        works: what to time, by name.
        pace: how often.
        seed: of the orders.
        on_round: told how many rounds are finished.
        clock_ns: what tells the time. `time.thread_time_ns` stands still while other
            processes have the core, and serves where a work is done by this very thread.
    """
    noise = random.Random(seed)  # noqa: S311 - an order, not a secret
    samples: dict[str, list[list[float]]] = {name: [] for name in works}
    for work in works.values():
        # Lazy libraries compile and pack at the first calls.
        _call(work, 2 + pace.untimed_calls)
    for finished in range(1, pace.rounds + 1):
        order = list(works)
        noise.shuffle(order)
        gc.collect()
        for name in order:
            _call(works[name], pace.untimed_calls)
            samples[name].append(_timed(works[name], pace.timed_calls, clock_ns))
        on_round(finished)
    return samples


def latency(samples: Samples) -> Latency:
    """Median of all calls of all rounds."""
    summary = summarize([sample for timed in samples for sample in timed])
    return Latency(
        p50_ms=summary.p50_ms,
        low_ms=summary.ci_low_ms,
        high_ms=summary.ci_high_ms,
        calls=summary.n,
    )


def ratio(contender: str, reference: str, samples: Mapping[str, Samples]) -> Ratio:
    """How many times faster one is than the other, from what was timed in the same rounds."""
    pairs = zip(samples[reference], samples[contender], strict=True)
    each = summarize([_median(slower) / _median(faster) for slower, faster in pairs])
    return Ratio(
        contender=contender,
        reference=reference,
        times_faster=each.p50_ms,
        low=each.ci_low_ms,
        high=each.ci_high_ms,
        rounds=each.n,
    )


def _timed(work: Work, calls: int, clock_ns: Callable[[], int]) -> list[float]:
    samples_ms = []
    gc.disable()
    try:
        for _ in range(calls):
            started_ns = clock_ns()
            work()
            samples_ms.append((clock_ns() - started_ns) * _MS_PER_NS)
    finally:
        gc.enable()
    return samples_ms


def _call(work: Work, times: int) -> None:
    for _ in range(times):
        work()


def _median(timed: Sequence[float]) -> float:
    return percentile(sorted(timed), 0.5)
