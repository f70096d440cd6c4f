"""`search`: promising variants first, until the budget is spent."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from builder.commands.data import data_folder
from builder.commands.endings import complain, errors_reported
from builder.commands.options import (
    Number,
    data_option,
    input_size_option,
    json_option,
    seed_option,
)
from builder.commands.printing import print_json, table_console
from builder.commands.recipe import (
    ENGINES,
    finetune_option,
    mirror_option,
    out_option,
    report_option,
    with_mirror,
)
from builder.commands.weights import weights_by_architecture, weights_option
from builder.progress_bar import ProgressBar
from builder.recipe import load_recipe, shipped_recipes
from builder.search.summary import search_document, search_verdict, trial_table
from contract.exits import Exit


@click.command()
@click.argument("architectures", metavar="ARCH...", nargs=-1, required=True)
@data_option
@out_option
@weights_option
@click.option(
    "--max-top1-drop",
    type=Number(min=0, max=1, hint="a share; 0.01 is one point"),
    default=0.01,
    show_default=True,
    help="Most top-1 that the winner may lose against the first ARCH as it comes; 0.01 is one "
    "point.",
)
@click.option(
    "--budget",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Variants to try, those of an interrupted search included.",
)
@click.option(
    "--minutes",
    type=Number(min=0, min_open=True),
    help="Start no trial after so many minutes. [default: no limit]",
)
@click.option(
    "--recipe",
    default="front",
    show_default=True,
    metavar="NAME|FILE.toml",
    help="Whose rules for pruning, tuning and INT8 every trial follows; its own variants are "
    f"not built: {', '.join(shipped_recipes())}, or a file.",
)
@input_size_option
@click.option(
    "--resolution",
    "resolutions",
    multiple=True,
    type=click.IntRange(min=8),
    metavar="PX",
    help="A smaller input to try; may be given again. [default: 6/7, 5/7 and 4/7 of the base's]",
)
@finetune_option
@mirror_option
@seed_option
@click.option(
    "--engine",
    "engines",
    multiple=True,
    type=click.Choice(ENGINES),
    help="INT8 kernels to prepare for. [default: qnnpack on ARM, else x86]",
)
@report_option
@json_option
@click.pass_obj
def search(
    console: Console,
    /,
    *,
    architectures: tuple[str, ...],
    data: Path,
    out: Path,
    weights: tuple[str, ...],
    max_top1_drop: float,
    budget: int,
    minutes: float | None,
    recipe: str,
    input_size: int | None,
    resolutions: tuple[int, ...],
    finetune_epochs: int | None,
    mirror: bool,
    seed: int,
    engines: tuple[str, ...],
    with_report: bool,
    as_json: bool,
) -> None:
    """Find the fastest variant of any ARCH that loses no more top-1 than it may.

    Tries promising combinations of depth, pruning, INT8 and input size first, on measured
    sensitivity and a model of latency that is fitted on this host as trials end. Each trial is
    a bundle in the set. Interrupted and run again, it goes on; a failing trial does not end
    it. Prints the Pareto front found and the fastest variant within the bar; the exit code is
    1 where none is.
    """
    if len(set(engines)) > 1:
        message = "a search is for one; search again into another folder for the next"
        raise click.BadParameter(message, param_hint="--engine")
    with errors_reported():
        chosen = with_mirror(load_recipe(recipe), mirror=mirror)
        from builder.exploration import Exploration, SearchRequest  # noqa: PLC0415 - imports torch
        from builder.planning import Settings  # noqa: PLC0415 - imports torch
        from builder.quantization.engine import Engine, host_engine  # noqa: PLC0415 - imports torch

    request = SearchRequest(
        architectures=architectures,
        data=data_folder(data, console),
        out=out,
        weights=weights_by_architecture(architectures, weights),
        settings=Settings(
            recipe=chosen,
            input_size=input_size,
            finetune_epochs=finetune_epochs,
            seed=seed,
            engines=(Engine(engines[0]) if engines else host_engine(),),
            resolutions=tuple(dict.fromkeys(resolutions)),
        ),
        max_top1_drop=max_top1_drop,
        budget=budget,
        minutes=minutes,
    )
    is_stopped = False
    with errors_reported(), ProgressBar(console) as progress:
        exploration = Exploration(
            request, search_path=Path.cwd(), now=lambda: datetime.now(UTC), progress=progress
        )
        if exploration.trials:
            known = len(exploration.trials)
            were = "trial was" if known == 1 else "trials were"
            console.print(f"{known} {were} made before", highlight=False)
        try:
            for trial in exploration.run():
                reason = f": {escape(trial.reason)}" if trial.reason else ""
                console.print(
                    f"{trial.status:>11} {exploration.space.name(trial.candidate)}{reason}",
                    highlight=False, soft_wrap=True,
                )  # fmt: skip
        except KeyboardInterrupt:
            complain("stopped; this is what was found, and a rerun goes on from there")
            is_stopped, with_report = True, False
        findings = exploration.findings()
        page = None
        if with_report and findings.front:
            from builder.report.making import report_on  # noqa: PLC0415 - only where asked for

            page = report_on(
                out, timing=True, fresh=False, made_at=datetime.now(UTC), progress=progress
            ).page
    if as_json:
        print_json(search_document(exploration.space, exploration.trials, findings))
    else:
        table_console().print(trial_table(exploration.space, exploration.trials, findings))
        click.echo(search_verdict(exploration.space, findings, max_top1_drop))
        if page is not None:
            click.echo(page)
    if findings.best is None or is_stopped:
        sys.exit(Exit.FAILED)
