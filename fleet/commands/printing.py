"""How commands print: a table for people, or one document for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable

import click
import msgspec
from rich.console import Console
from rich.table import Table

from edgewright.terminal import visible
from fleet.reports.fitting import fitted

#: Where output goes to a file or a pipe there is no terminal whose width would matter: a row is a
#: line, however long, so that other programs can work on it.
_PIPE_COLUMNS = 100_000


def console() -> Console:
    """Standard output, as wide as the terminal."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)


def print_table(table: Table) -> None:
    """Print a table; on a narrow terminal without its lesser columns, which are named then."""
    out = console()
    shown, left_out = fitted(table, out.width if sys.stdout.isatty() else None)
    out.print(shown)
    if left_out:
        said = f"Not shown in {out.width} columns: {', '.join(left_out)}; --json has all."
        print_lines(["", said])


def print_lines(lines: Iterable[str]) -> None:
    """Print sentences, folded between words on a terminal alone."""
    out = console()
    for line in lines:
        out.print(visible(line), markup=False, highlight=False)


def print_json(document: object) -> None:
    """Print one JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
