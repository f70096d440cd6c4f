"""Progress on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from builder.progress_bar import ProgressBar, seconds_left


def _console(*, is_terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=is_terminal, width=100), out


def test_elsewhere_each_activity_is_one_line() -> None:
    console, out = _console(is_terminal=False)

    with ProgressBar(console) as bar:
        for done in range(3):
            bar.update("tuning", done, 3)
        bar.update("measuring", 0, 9)
        bar.update_overall("variants", 1, 7)

    assert out.getvalue().split("\n") == ["tuning", "measuring", ""]


def test_on_a_terminal_the_activity_and_the_whole_are_counted() -> None:
    console, out = _console(is_terminal=True)

    with ProgressBar(console) as bar:
        bar.update_overall("variants", 2, 7)
        bar.update("tuning", 5, 30)

    assert "tuning" in out.getvalue()
    assert "5/30" in out.getvalue()
    assert "2/7" in out.getvalue()


def test_of_steps_that_may_take_seconds_or_hours_no_time_left_is_foretold() -> None:
    console, out = _console(is_terminal=True)
    now = [0.0]
    with ProgressBar(console, now_s=lambda: now[0]) as bar:
        bar.update_overall("variants", 0, 7)
        bar.update("tuning", 0, 30)
        now[0] = 60.0
        bar.update_overall("variants", 3, 7)
        bar.update("tuning", 15, 30)

    shown = out.getvalue()
    assert "1:00 left" in shown
    assert "1:20 left" not in shown


@pytest.mark.parametrize(
    ("elapsed", "done", "total", "expected"),
    [
        (10.0, 5, 20, 30.0),
        (2.0, 10, 20, None),
        (60.0, 1, 20, None),
        (60.0, 20, 20, None),
        (None, 5, 20, None),
        (60.0, 5, None, None),
    ],
)
def test_time_left_follows_the_pace_so_far_and_waits_until_there_is_one(
    elapsed: float | None, done: int, total: int | None, expected: float | None
) -> None:
    assert seconds_left(elapsed, done, total) == expected
