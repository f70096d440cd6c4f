"""Consoles, tables and progress of rich in which strangers' text stays text (needs rich).

A string is never markup here: `[red]` and `:smile:` are shown as they are written. What is to
have a colour is `styled`.
"""

from __future__ import annotations

import sys
from typing import Any, Literal

import rich.console
import rich.table
from rich.console import RenderableType
from rich.progress import ProgressColumn, Task
from rich.style import StyleType
from rich.text import Text

from edgewright.terminal import CELL_CHARACTERS, LINE_CHARACTERS, visible


class Console(rich.console.Console):
    """Standard output, or standard error, where each string is one line of text."""

    def __init__(self, *, stderr: bool = False, pipe_columns: int | None = None) -> None:
        """Write to a terminal in its own width.

        Args:
            stderr: to standard error.
            pipe_columns: width where there is no terminal; None: that of rich.
        """
        is_terminal = (sys.stderr if stderr else sys.stdout).isatty()
        super().__init__(
            stderr=stderr,
            width=None if is_terminal else pipe_columns,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def render_str(self, text: str, **options: Any) -> Text:  # noqa: ANN401 - rich's own signature
        """Make a Text of a string; rich does so here with every string, wherever it stands."""
        return super().render_str(visible(text), **options)


class Table(rich.table.Table):
    """A table that shows the beginning of each text; title and headings are our own words."""

    def __init__(
        self,
        *headings: str,
        title: str | None = None,
        caption: str | None = None,
        **options: Any,  # noqa: ANN401 - rich's own signature
    ) -> None:
        """Make an empty table; `options` are those of rich."""
        super().__init__(
            *headings,
            title=None if title is None else _line(title, "table.title"),
            caption=None if caption is None else _line(caption, "table.caption"),
            **options,
        )

    def add_column(
        self,
        header: RenderableType = "",
        footer: RenderableType = "",
        **options: Any,  # noqa: ANN401 - rich's own signature
    ) -> None:
        """Add a column; its heading may have several lines."""
        heading = Text(header) if isinstance(header, str) else header
        super().add_column(heading, footer, **options)

    def add_row(
        self,
        *cells: RenderableType | None,
        **options: Any,  # noqa: ANN401 - rich's own signature
    ) -> None:
        """Add a row of strings, or of what `styled` made."""
        super().add_row(*(styled(one) if isinstance(one, str) else one for one in cells), **options)


class TextColumn(ProgressColumn):
    """Shows a line about the task, such as `{task.description}`."""

    def __init__(self, template: str) -> None:
        """Fill in the task's fields."""
        super().__init__()
        self._template = template

    def render(self, task: Task) -> Text:
        """Show the line."""
        return styled(self._template.format(task=task))


def styled(text: str, style: StyleType = "") -> Text:
    """`text` in a style; as much of it as a cell shows."""
    return Text(visible(text, CELL_CHARACTERS), style)


def _line(text: str, style: Literal["table.title", "table.caption"]) -> Text:
    return Text(visible(text, LINE_CHARACTERS), style)
