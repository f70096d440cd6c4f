"""Timing loops: the raw milliseconds of repeated work."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable

_NS_PER_SECOND = 1e9
_MS_PER_NS = 1e-6


class Stopwatch:
    """Milliseconds since it was made."""

    def __init__(self) -> None:
        self._started_ns = time.perf_counter_ns()

    def elapsed_ms(self) -> float:
        """Milliseconds so far."""
        return (time.perf_counter_ns() - self._started_ns) * _MS_PER_NS


def repeat(
    work: Callable[[], object],
    *,
    min_seconds: float,
    min_runs: int,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> list[float]:
    """Milliseconds of each call, until both the time and the count are reached.

    `clock` tells nanoseconds.
    """
    samples_ns: list[int] = []
    gc.disable()
    try:
        end_ns = clock() + int(min_seconds * _NS_PER_SECOND)
        before_ns = clock()
        while before_ns < end_ns or len(samples_ns) < min_runs:
            work()
            after_ns = clock()
            samples_ns.append(after_ns - before_ns)
            before_ns = clock()
    finally:
        gc.enable()
    return [sample * _MS_PER_NS for sample in samples_ns]


def typical_ms(work: Callable[[], object], *, max_seconds: float, max_runs: int) -> float:
    """Median of at least one call, until either the time or the count is reached."""
    end = time.monotonic() + max_seconds
    samples_ms = repeat(work, min_seconds=0.0, min_runs=1)
    while len(samples_ms) < max_runs and time.monotonic() < end:
        samples_ms += repeat(work, min_seconds=0.0, min_runs=1)
    return statistics.median(samples_ms)
