"""Timing several pieces of work side by side, so that what slows the host slows them all."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_NS_PER_SECOND = 1_000_000_000
_MS_PER_NS = 1e-6
#: Fewer samples leave the median without a 95 % interval.
_FEWEST_ROUNDS = 6


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long each piece of work is timed."""

    min_seconds: float
    max_seconds: float
    min_rounds: int
    burst_seconds: float


@dataclass(frozen=True, kw_only=True)
class Race:
    """What the pieces of work took, in the order they were given."""

    #: Median of each burst, one a round.
    bursts_ms: Sequence[Sequence[float]]
    #: Share of the time in which this process had the processor: below 1 others took it.
    cpu_share: float


def race(runners: Sequence[Callable[[], object]], effort: Effort) -> Race:
    """Time `runners` in rounds, each in a burst of calls, in turning order.

    Bursts are timed by the processor time of this thread, which must do the work itself: the
    clock on the wall also counts what other programs have of the core meanwhile, and that meets
    long calls much more than those that fit between two interruptions. Seen with seven other
    programs on the core, ResNet-18 at 32 px in FP32: 7 ms of processor time, 50 ms on the wall.

    The first call of a burst finds the caches full of the others' weights and is left out.
    Calls of one burst share their fate, so only a burst's median counts as one sample.
    """
    bursts: list[list[float]] = [[] for _ in runners]
    order = list(range(len(runners)))
    burst_ns = int(effort.burst_seconds * _NS_PER_SECOND)
    gc.disable()
    try:
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        while not _is_enough(time.perf_counter_ns() - wall_ns, len(bursts[0]), order, effort):
            for runner in order:
                bursts[runner].append(_burst_ms(runners[runner], burst_ns))
            order.reverse()
        spent_ns = time.perf_counter_ns() - wall_ns
        cpu_share = (time.process_time_ns() - cpu_ns) / spent_ns
    finally:
        gc.enable()
    return Race(bursts_ms=bursts, cpu_share=min(1.0, cpu_share))


def _is_enough(spent_ns: int, rounds: int, order: Sequence[int], effort: Effort) -> bool:
    seconds = spent_ns / _NS_PER_SECOND / len(order)
    if rounds < _FEWEST_ROUNDS:
        return False
    if seconds >= effort.max_seconds:
        return True
    return seconds >= effort.min_seconds and rounds >= effort.min_rounds


def _burst_ms(work: Callable[[], object], burst_ns: int) -> float:
    clock = time.thread_time_ns
    work()
    samples_ns = []
    before_ns = clock()
    end_ns = before_ns + burst_ns
    while True:
        work()
        after_ns = clock()
        samples_ns.append(after_ns - before_ns)
        before_ns = after_ns
        if after_ns >= end_ns:
            return statistics.median(samples_ns) * _MS_PER_NS
