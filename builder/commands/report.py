"""`report`: what the variants of a set are worth, as a page to look at."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from builder.commands.endings import errors_reported
from builder.commands.options import json_option
from builder.commands.printing import print_json
from builder.commands.reporting import show_report, write_report
from builder.progress_bar import ProgressBar
from contract.exits import Exit
from edgewright.console import Console


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
    with errors_reported(), ProgressBar(console) as progress:
        written = write_report(folder, progress, timing=not no_timing, fresh=fresh)
    if as_json:
        print_json(written.report)
    else:
        show_report(written)
    if written.damaged:
        sys.exit(Exit.FAILED)
