"""Sustained measurement of work that gets slower, as on a box that heats up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.measuring import settle
from agent.protocol import Sustained
from agent.stationary import SPAN
from support.trees import write


class Work:
    """Work of which each call takes a time by its number, on a clock that nothing else moves."""

    def __init__(self, seconds_of: Callable[[int], float]) -> None:
        self._seconds_of = seconds_of
        self._calls = 0
        self._now_ns = 0

    def __call__(self) -> None:
        """Take the time of the next call."""
        self._now_ns += round(self._seconds_of(self._calls) * 1e9)
        self._calls += 1

    def clock(self) -> int:
        """Nanoseconds by now."""
        return self._now_ns


def test_figures_are_of_the_end_once_it_has_settled(tmp_path: Path) -> None:
    """The first minute is told apart, and every sample is kept."""
    # Slower and slower for the first windows, then steady.
    work = Work(lambda number: 0.001 + 0.004 * min(1.0, number / 200))
    sustained = Sustained(max_seconds=20.0, window_s=0.05)
    course = settle(work, sustained, root=tmp_path, clock=work.clock)
    assert course.is_stationary is True
    assert len(course.windows) >= 2 * SPAN
    assert sum(window.n for window in course.windows) == len(course.samples_ms)
    assert course.settled_from == sum(window.n for window in course.windows[:-SPAN])
    assert course.first_minute_p50_ms is not None
    settled = sorted(course.samples_ms[course.settled_from :])
    assert settled[len(settled) // 2] > course.first_minute_p50_ms


def test_what_never_settles_ends_with_its_time_and_says_so(tmp_path: Path) -> None:
    """Each call takes longer than the one before."""
    work = Work(lambda number: 0.0005 * 1.01**number)
    sustained = Sustained(max_seconds=0.5, window_s=0.02)
    course = settle(work, sustained, root=tmp_path, clock=work.clock)
    assert course.is_stationary is False
    assert len(course.windows) >= 2 * SPAN


def test_each_window_tells_the_heat_of_its_end(tmp_path: Path) -> None:
    """From the box's own sensor, between the samples."""
    write(
        tmp_path,
        {
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone0/temp": "48312",
        },
    )
    work = Work(lambda _number: 0.001)
    sustained = Sustained(max_seconds=0.1, window_s=0.005)
    course = settle(work, sustained, root=tmp_path, clock=work.clock)
    assert {window.temperature_c for window in course.windows} == {48.312}
