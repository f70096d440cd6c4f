"""What the agent's commands have in common on a terminal.

rich is imported where it is used: a daemon's process has the commands in memory too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.bundles import Shelf

if TYPE_CHECKING:
    from rich.progress import Progress

    from edgewright.console import Console

_PIPE_COLUMNS = 120


def console() -> Console:
    """Console on stdout; a pipe gets lines as long as a wide terminal's."""
    from edgewright.console import Console  # noqa: PLC0415 - not for a daemon

    return Console(pipe_columns=_PIPE_COLUMNS)


def progress_bar() -> Progress:
    """Progress bar on standard error that leaves nothing behind."""
    from rich.progress import (  # noqa: PLC0415 - not for a daemon
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TimeElapsedColumn,
    )

    from edgewright.console import Console, TextColumn  # noqa: PLC0415 - likewise

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
