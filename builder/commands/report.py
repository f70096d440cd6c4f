"""`report`: what the variants of a set are worth, as a page to look at."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from builder.commands.endings import errors_reported
from builder.commands.options import json_option
from builder.commands.printing import print_json, table_console
from builder.progress_bar import ProgressBar
from builder.tables import front_table
from builder.workspace import Workspace
from contract.bundleset import read_set
from contract.errors import BundleDamagedError
from contract.exits import Exit


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--no-timing", is_flag=True, help="Time nothing; work stands in for time.")
@click.option("--fresh", is_flag=True, help="Time again what was timed here before.")
@json_option
@click.pass_obj
def report(
    console: Console, /, *, folder: Path, no_timing: bool, fresh: bool, as_json: bool
) -> None:
    """Report on the set in DIR: time its variants here, and judge each.

    Writes report.html, report.json and report.csv into DIR. The page needs no network. Each
    variant runs on one core in turns with the set's baseline, a few seconds long; what was
    timed here before is not timed again. The exit code is 1 where a bundle was damaged and
    left out.
    """
    with errors_reported():
        from builder.measuring.timing import time_set  # noqa: PLC0415 - only this command needs them
        from builder.report.document import make_report  # noqa: PLC0415 - likewise
        from builder.report.sources import read_studies, readable_rows  # noqa: PLC0415 - likewise
        from builder.report.writer import write_report  # noqa: PLC0415 - likewise

        bundle_set = read_set(folder)
        rows = readable_rows(folder, bundle_set)
        if not rows:
            message = f"{folder}: expected at least one readable bundle, got none; build it again"
            raise BundleDamagedError(message)
        workspace = Workspace.beside(folder)
        timings = {}
        if not no_timing:
            with ProgressBar(console) as progress:
                timings = time_set(folder, workspace=workspace, progress=progress, fresh=fresh)
        document = make_report(
            folder.resolve().name,
            bundle_set,
            rows,
            timings=timings,
            studies=read_studies(workspace),
            made_at=datetime.now(UTC),
        )
        page = write_report(folder, document)
    if as_json:
        print_json(document)
    else:
        table_console().print(front_table(document))
        click.echo(page)
    if len(rows) < len(bundle_set.members):
        sys.exit(Exit.FAILED)
