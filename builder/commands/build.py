"""`build`: the variants of a recipe, into one bundle set."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.text import Text

from builder.commands.building import BuildOptions, build_options
from builder.commands.endings import errors_reported
from builder.commands.options import json_option
from builder.commands.printing import manifest_document, print_json, table_console
from builder.commands.reporting import report_option, show_report, write_report
from builder.outcome import Outcome, Status
from builder.progress_bar import ProgressBar
from builder.tables import outcome_table
from contract.exits import Exit
from edgewright.console import Console, styled
from edgewright.terminal import LINE_CHARACTERS, visible


@click.command()
@build_options(
    recipe="edgewright",
    recipe_help="Which variants",
    resolution_help="Build the variants at this input size too; may be given again.",
    many_engines=True,
)
@report_option
@json_option
@click.pass_obj
def build(console: Console, /, *, options: BuildOptions, with_report: bool, as_json: bool) -> None:
    """Build the recipe's variants of each ARCH into one bundle set.

    The base of the first ARCH is what the set's speed-ups and accuracy drops refer to. A
    variant that cannot be built is reported and the others are still built; the exit code is
    then 1.
    """
    request = options.request(console)
    with errors_reported():
        from builder.pipeline import build_set  # noqa: PLC0415 - imports torch
        from builder.planning import asked_for  # noqa: PLC0415 - imports torch

    outcomes: list[Outcome] = []
    settings = request.settings
    total = len(set(request.architectures)) * len(asked_for(settings.recipe, settings))
    with errors_reported(), ProgressBar(console) as progress:
        progress.update_overall("variants", 0, total)
        for outcome in build_set(
            request, search_path=Path.cwd(), now=lambda: datetime.now(UTC), progress=progress
        ):
            outcomes.append(outcome)
            progress.update_overall("variants", len(outcomes), total)
            console.print(*_line(outcome), soft_wrap=True)
        written = None
        if with_report and any(outcome.exists for outcome in outcomes):
            written = write_report(request.out, progress)
    if as_json:
        print_json(
            [manifest_document(o.member, o.manifest) for o in outcomes if o.member and o.manifest]
        )
    elif written is None:
        table_console().print(outcome_table(outcomes))
    else:
        show_report(written)
    if not all(outcome.exists for outcome in outcomes):
        sys.exit(Exit.FAILED)


def _line(outcome: Outcome) -> tuple[Text, str]:
    """Status in its colour, and what else there is to say."""
    colour = {Status.FAILED: "red", Status.UNSUPPORTED: "yellow"}.get(outcome.status, "green")
    why = "" if outcome.reason is None else f": {outcome.reason}"
    return (
        styled(f"{outcome.status:>11}", colour),
        visible(f"{outcome.variant}{why}", LINE_CHARACTERS),
    )
