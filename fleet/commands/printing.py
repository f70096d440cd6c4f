"""How commands print: a table for people, or one document for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from edgewright.command_line import complain as complain_as
from edgewright.command_line import print_json, print_text
from edgewright.console import Console, Table
from edgewright.terminal import LINE_CHARACTERS, visible
from fleet.reports.fitting import fitted

__all__ = ["complain", "console", "print_json", "print_lines", "print_table", "print_text"]

#: Where output goes to a file or a pipe there is no terminal whose width would matter: a row is a
#: line, however long, so that other programs can work on it.
_PIPE_COLUMNS = 100_000


def console() -> Console:
    """Standard output, as wide as the terminal."""
    return Console(pipe_columns=_PIPE_COLUMNS)


def print_table(table: Table) -> None:
    """Print a table; on a narrow terminal without its lesser columns, which are named then."""
    out = console()
    shown, left_out = fitted(table, out.width if sys.stdout.isatty() else None)
    out.print(shown)
    if left_out:
        said = f"Not shown in {out.width} columns: {', '.join(left_out)}; --json has all."
        print_lines(["", said])


def print_lines(
    lines: Iterable[str], *, err: bool = False, most: int | None = LINE_CHARACTERS
) -> None:
    """Print sentences, each a line that is folded between words on a terminal alone.

    Args:
        lines: sentences; a line break in one is a stranger's, and is spelt out.
        err: on standard error.
        most: characters of a line; None for lists of our own that may be long.
    """
    out = Console(stderr=err, pipe_columns=_PIPE_COLUMNS)
    for line in lines:
        out.print(visible(line, most), soft_wrap=not out.is_terminal)


def complain(message: str, *, has_lines: bool = False) -> None:
    """Say on standard error what is wrong."""
    complain_as("edgewright-fleet", message, has_lines=has_lines)
