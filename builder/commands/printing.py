"""What commands put on stdout: one JSON document, or tables."""

from __future__ import annotations

import click
import msgspec
from rich.console import Console

from contract.bundleset import Member
from contract.manifest import Manifest

_PIPE_WIDTH = 120


def table_console() -> Console:
    """Make a console that does not cut tables short in a pipe, whose width nobody knows."""
    console = Console()
    return console if console.is_terminal else Console(width=_PIPE_WIDTH)


def manifest_document(member: Member, manifest: Manifest) -> dict[str, object]:
    """Manifest and what the set vouches for, as one JSON object."""
    own = msgspec.to_builtins(member)
    return {**msgspec.to_builtins(manifest), **own}


def print_json(document: object) -> None:
    """Print `document`, Structs included, as the one JSON document of this run."""
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
