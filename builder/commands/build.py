"""`build`: the variants of a recipe, into one bundle set."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from builder.commands.data import data_folder
from builder.commands.endings import errors_reported
from builder.commands.options import data_option, input_size_option, json_option, seed_option
from builder.commands.printing import manifest_document, print_json, table_console
from builder.commands.recipe import (
    ENGINES,
    finetune_option,
    mirror_option,
    out_option,
    report_option,
    with_mirror,
)
from builder.commands.weights import weights_by_architecture, weights_option
from builder.outcome import Outcome, Status
from builder.progress_bar import ProgressBar
from builder.recipe import load_recipe, shipped_recipes
from builder.tables import outcome_table, report_table
from contract.exits import Exit


@click.command()
@click.argument("architectures", metavar="ARCH...", nargs=-1, required=True)
@data_option
@out_option
@weights_option
@click.option(
    "--recipe",
    default="edgewright",
    show_default=True,
    metavar="NAME|FILE.toml",
    help=f"Which variants: {', '.join(shipped_recipes())}, or a file of the same form.",
)
@input_size_option
@finetune_option
@mirror_option
@seed_option
@click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(ENGINES),
    help="INT8 kernels to prepare for; give it again for each further target, whose variants "
    "then bear its name. [default: qnnpack on ARM, else x86]",
)
@click.option(
    "--resolution",
    "resolutions",
    multiple=True,
    type=click.IntRange(min=8),
    metavar="PX",
    help="Build the variants at this input size too; may be given again.",
)
@report_option
@json_option
@click.pass_obj
def build(
    console: Console,
    /,
    *,
    architectures: tuple[str, ...],
    data: Path,
    out: Path,
    weights: tuple[str, ...],
    recipe: str,
    input_size: int | None,
    finetune_epochs: int | None,
    mirror: bool,
    seed: int,
    engines: tuple[str, ...],
    resolutions: tuple[int, ...],
    with_report: bool,
    as_json: bool,
) -> None:
    """Build the recipe's variants of each ARCH into one bundle set.

    The base of the first ARCH is what the set's speed-ups and accuracy drops refer to. A
    variant that cannot be built is reported and the others are still built; the exit code is
    then 1.
    """
    with errors_reported():
        chosen_recipe = with_mirror(load_recipe(recipe), mirror=mirror)
        from builder.pipeline import BuildRequest, build_set  # noqa: PLC0415 - imports torch
        from builder.planning import Settings, asked_for  # noqa: PLC0415 - imports torch
        from builder.quantization.engine import Engine, host_engine  # noqa: PLC0415 - imports torch

    request = BuildRequest(
        architectures=architectures,
        data=data_folder(data, console),
        out=out,
        weights=weights_by_architecture(architectures, weights),
        settings=Settings(
            recipe=chosen_recipe,
            input_size=input_size,
            finetune_epochs=finetune_epochs,
            seed=seed,
            engines=tuple(Engine(name) for name in dict.fromkeys(engines)) or (host_engine(),),
            resolutions=tuple(dict.fromkeys(resolutions)),
        ),
    )
    outcomes: list[Outcome] = []
    total = len(set(architectures)) * len(asked_for(chosen_recipe, request.settings))
    with errors_reported(), ProgressBar(console) as progress:
        progress.update_overall("variants", 0, total)
        for outcome in build_set(
            request, search_path=Path.cwd(), now=lambda: datetime.now(UTC), progress=progress
        ):
            outcomes.append(outcome)
            progress.update_overall("variants", len(outcomes), total)
            console.print(_line(outcome), highlight=False, soft_wrap=True)
        written = None
        if with_report and any(outcome.exists for outcome in outcomes):
            from builder.report.making import report_on  # noqa: PLC0415 - only where asked for

            written = report_on(
                out, timing=True, fresh=False, made_at=datetime.now(UTC), progress=progress
            )
    if as_json:
        print_json(
            [manifest_document(o.member, o.manifest) for o in outcomes if o.member and o.manifest]
        )
    elif written is None:
        table_console().print(outcome_table(outcomes))
    else:
        table_console().print(report_table(written.report))
        click.echo(written.page)
    if not all(outcome.exists for outcome in outcomes):
        sys.exit(Exit.FAILED)


def _line(outcome: Outcome) -> str:
    colour = {Status.FAILED: "red", Status.UNSUPPORTED: "yellow"}.get(outcome.status, "green")
    text = f"[{colour}]{outcome.status:>11}[/] {outcome.variant}"
    return text if outcome.reason is None else f"{text}: {escape(outcome.reason)}"
