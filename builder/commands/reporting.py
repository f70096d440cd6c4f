"""The report at the end of a command: written into the set, and shown."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from builder.commands.printing import print_lines, table_console
from builder.progress import Progress
from builder.tables import report_table

if TYPE_CHECKING:
    from builder.report.making import WrittenReport

report_option = click.option(
    "--report/--no-report",
    "with_report",
    default=True,
    show_default=True,
    help="Time the variants on this host, and write report.html, .json and .csv into the set.",
)


def write_report(
    folder: Path, progress: Progress, *, timing: bool = True, fresh: bool = False
) -> WrittenReport:
    """Report on the set in `folder`, timing what was not timed here before."""
    from builder.report.making import report_on  # noqa: PLC0415 - imports torch

    return report_on(
        folder, timing=timing, fresh=fresh, made_at=datetime.now(UTC), progress=progress
    )


def show_report(written: WrittenReport) -> None:
    """Print the report's table, and where its page stands."""
    table_console().print(report_table(written.report))
    print_lines([str(written.page)])
