"""Progress as a bar on a terminal, and as plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TimeElapsedColumn,
)
from rich.text import Text

from edgewright.console import TextColumn, styled

#: Sooner than this, and after fewer steps, nothing is known of what is left.
_SPEAKS_AFTER_SECONDS = 3.0
_SPEAKS_AFTER_STEPS = 2
_SECONDS_PER_MINUTE = 60
#: Field of a task whose steps take too different times to foretell anything from.
_UNEVEN = "uneven"


class ProgressBar:
    """Shows the present activity on `console`; finished ones disappear.

    Where `console` is no terminal, each activity is one line when it begins.
    """

    def __init__(self, console: Console, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._activity: str | None = None
        self._task: TaskID | None = None
        self._overall: TaskID | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            _TimeLeft(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            get_time=now_s,
        )

    def __enter__(self) -> Self:
        """Start showing."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        self._bar.stop()

    def update(self, activity: str, done: int, total: int) -> None:
        """Show `done` of `total` steps of `activity`."""
        if activity != self._activity:
            self._activity = activity
            if not self._console.is_terminal:
                self._console.print(styled(activity), soft_wrap=True)
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(activity, total=total)
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total)

    def update_overall(self, what: str, done: int, total: int) -> None:
        """Show on a line of its own that `done` of `total` of `what` are finished.

        No time left is foretold from them, for they may be seconds or hours each.
        """
        if self._overall is None:
            self._overall = self._bar.add_task(what, total=total, **{_UNEVEN: True})
        self._bar.update(self._overall, description=what, completed=done, total=total)


class _TimeLeft(ProgressColumn):
    """The time left, if the steps to come take as long as those so far.

    Rich's own looks at the last seconds only, and jumps from step to step.
    """

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        """Say nothing until something is known."""
        if task.fields.get(_UNEVEN):
            return styled("")
        seconds = seconds_left(task.elapsed, task.completed, task.total)
        if seconds is None:
            return styled("")
        minutes, rest = divmod(round(seconds), _SECONDS_PER_MINUTE)
        return styled(f"{minutes}:{rest:02d} left", "progress.remaining")


def seconds_left(elapsed: float | None, done: float, total: float | None) -> float | None:
    """Seconds that `total - done` steps take at the pace of the first `done`.

    None before three seconds and two steps have passed, and once nothing is left.
    """
    if elapsed is None or total is None or done >= total:
        return None
    if elapsed < _SPEAKS_AFTER_SECONDS or done < _SPEAKS_AFTER_STEPS:
        return None
    return elapsed * (total - done) / done
