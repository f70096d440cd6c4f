"""Sustained measurement of work that gets slower, as on a box that heats up."""

from __future__ import annotations

import time
from pathlib import Path

from agent.measuring import settle
from agent.protocol import Sustained
from agent.stationary import SPAN
from support.trees import write


def test_figures_are_of_the_end_once_it_has_settled(tmp_path: Path) -> None:
    """The first minute is told apart, and every sample is kept."""
    calls = iter(range(10**9))

    def work() -> None:
        # Slower and slower for the first windows, then steady.
        time.sleep(0.001 + 0.004 * min(1.0, next(calls) / 200))

    course = settle(work, Sustained(max_seconds=20.0, window_s=0.05), root=tmp_path)
    assert len(course.windows) >= 2 * SPAN
    assert sum(window.n for window in course.windows) == len(course.samples_ms)
    assert course.settled_from == sum(window.n for window in course.windows[:-SPAN])
    assert course.first_minute_p50_ms is not None
    settled = sorted(course.samples_ms[course.settled_from :])
    assert settled[len(settled) // 2] > course.first_minute_p50_ms


def test_what_never_settles_ends_with_its_time_and_says_so(tmp_path: Path) -> None:
    """Each call takes longer than the one before."""
    calls = iter(range(10**9))
    course = settle(
        lambda: time.sleep(0.0005 * 1.01 ** next(calls)),
        Sustained(max_seconds=0.5, window_s=0.02),
        root=tmp_path,
    )
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
    course = settle(
        lambda: time.sleep(0.001), Sustained(max_seconds=0.1, window_s=0.005), root=tmp_path
    )
    assert {window.temperature_c for window in course.windows} == {48.312}
