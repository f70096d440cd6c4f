"""How commands print: a table for people, or one document for programs."""

from __future__ import annotations

import sys

import click
import msgspec
from rich.console import Console

#: Where output goes to a file or a pipe there is no terminal whose width would matter.
_PIPE_COLUMNS = 200


def console() -> Console:
    """Standard output, as wide as the terminal."""
    return Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS)


def print_json(document: object) -> None:
    """Print one JSON document."""
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
