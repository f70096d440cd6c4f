"""What the agent's commands have in common on a terminal."""

from __future__ import annotations

import sys

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from agent.bundles import Shelf

_PIPE_COLUMNS = 120


def console() -> Console:
    """Console on stdout; a pipe gets lines as long as a wide terminal's."""
    return Console() if sys.stdout.isatty() else Console(width=_PIPE_COLUMNS)


def progress_bar() -> Progress:
    """Progress bar on standard error that leaves nothing behind."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def check_variants(shelf: Shelf, variants: tuple[str, ...]) -> None:
    """Refuse names that are not in the set.

    Raises:
        BadParameter: one is not.
    """
    known = [member.variant for member in shelf.bundle_set.members]
    for name in variants:
        if name not in known:
            message = f"'{name}' is not in {shelf.folder}: expected one of {', '.join(known)}"
            raise click.BadParameter(message, param_hint="--variant")
