"""Progress as a bar on a terminal, and as plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)


class ProgressBar:
    """Shows the present activity on `console`; finished ones disappear.

    Where `console` is no terminal, each activity is one line when it begins.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._activity: str | None = None
        self._task: TaskID | None = None
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
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
                self._console.print(activity, highlight=False, soft_wrap=True)
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(activity, total=total)
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total)
