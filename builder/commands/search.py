"""`search`: promising variants first, until the budget is spent."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from builder.commands.building import BuildOptions, build_options
from builder.commands.endings import complain, errors_reported
from builder.commands.options import Number, json_option
from builder.commands.printing import print_json, print_lines, table_console
from builder.commands.reporting import report_option, write_report
from builder.progress_bar import ProgressBar
from builder.search.summary import search_document, search_verdict, trial_table
from contract.exits import Exit
from edgewright.console import Console
from edgewright.terminal import LINE_CHARACTERS, visible


@click.command()
@build_options(
    recipe="front",
    recipe_help="Whose rules for pruning, tuning and INT8 every trial follows; its own variants "
    "are not built",
    resolution_help="A smaller input to try; may be given again. [default: 6/7, 5/7 and 4/7 of "
    "the base's]",
    many_engines=False,
)
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
@report_option
@json_option
@click.pass_obj
def search(
    console: Console,
    /,
    *,
    options: BuildOptions,
    max_top1_drop: float,
    budget: int,
    minutes: float | None,
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
    build_request = options.request(console)
    with errors_reported():
        from builder.exploration import Exploration, SearchRequest  # noqa: PLC0415 - imports torch

    request = SearchRequest(
        build=build_request, max_top1_drop=max_top1_drop, budget=budget, minutes=minutes
    )
    is_stopped = False
    with errors_reported(), ProgressBar(console) as progress:
        exploration = Exploration(
            request, search_path=Path.cwd(), now=lambda: datetime.now(UTC), progress=progress
        )
        if exploration.trials:
            known = len(exploration.trials)
            were = "trial was" if known == 1 else "trials were"
            console.print(f"{known} {were} made before")
        try:
            for trial in exploration.run():
                reason = f": {trial.reason}" if trial.reason else ""
                told = f"{trial.status:>11} {exploration.space.name(trial.candidate)}{reason}"
                console.print(visible(told, LINE_CHARACTERS), soft_wrap=True)
        except KeyboardInterrupt:
            complain("stopped; this is what was found, and a rerun goes on from there")
            is_stopped, with_report = True, False
        findings = exploration.findings()
        page = None
        if with_report and findings.front:
            page = write_report(options.out, progress).page
    if as_json:
        print_json(search_document(exploration.space, exploration.trials, findings))
    else:
        table_console().print(trial_table(exploration.space, exploration.trials, findings))
        print_lines([search_verdict(exploration.space, findings, max_top1_drop)])
        if page is not None:
            print_lines([str(page)])
    if findings.best is None or is_stopped:
        sys.exit(Exit.FAILED)
