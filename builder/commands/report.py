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
from builder.tables import report_table
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
        from builder.report.making import report_on  # noqa: PLC0415 - only this command needs it

        with ProgressBar(console) as progress:
            written = report_on(
                folder,
                timing=not no_timing,
                fresh=fresh,
                made_at=datetime.now(UTC),
                progress=progress,
            )
    if as_json:
        print_json(written.report)
    else:
        table_console().print(report_table(written.report))
        click.echo(written.page)
    if written.damaged:
        sys.exit(Exit.FAILED)
