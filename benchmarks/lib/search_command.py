"""The command line of `benchmarks/search.py`.

Torch takes seconds to import and starts threads as it does, so it is imported after this
process was held to one core.
"""

from __future__ import annotations

import os
import warnings
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console

from benchmarks.lib.processor import keep_to_one_core
from benchmarks.lib.program import errors_reported, versions
from benchmarks.lib.rounds import Pace
from builder.commands.printing import print_json, table_console
from builder.progress_bar import ProgressBar

_PROGRAM = "benchmarks/search.py"
_PACKAGES = ("edgewright", "torch")
_QUICK_RECIPE = Path(__file__).resolve().parents[1] / "recipes" / "search-quick.toml"
_ROUNDS, _QUICK_ROUNDS = 40, 15
_EPOCHS, _QUICK_EPOCHS = 6, 2


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--quick", is_flag=True, help="A grid of eight, hardly tuned: a few minutes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document only.")
@click.option(
    "--network", default="resnet18", show_default=True, help="Network, which --weights are for."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder with train/ and val/. [default: scikit-learn's digits]",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="State dict. [default: trained here, once, and kept in --out]",
)
@click.option(
    "--input-size",
    type=click.IntRange(min=8),
    help="Input of the base. [default: 32 for the digits, 224 for --data]",
)
@click.option(
    "--recipe",
    metavar="NAME|FILE.toml",
    help="The grid, and the rules that grid and search follow. [default: front, with --quick "
    "benchmarks/recipes/search-quick.toml]",
)
@click.option(
    "--budget",
    type=click.IntRange(min=1),
    help="Variants that the search may try. [default: as many as the grid has]",
)
@click.option(
    "--max-top1-drop",
    type=click.FloatRange(min=0, max=1),
    default=0.01,
    show_default=True,
    help="The search's accuracy bar.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    help=f"[default: {_ROUNDS}, with --quick {_QUICK_ROUNDS}]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".benchmarks/search"),
    show_default=True,
    help="Folder for images, weights and bundles; bundles that are there are used again.",
)
def command(
    *,
    quick: bool,
    as_json: bool,
    network: str,
    data: Path | None,
    weights: Path | None,
    input_size: int | None,
    recipe: str | None,
    budget: int | None,
    max_top1_drop: float,
    rounds: int | None,
    seed: int,
    out: Path,
) -> None:
    """Hold the search against a plain grid of the same budget, on one core.

    Both are made by the builder's own commands. Then all variants are timed together, and
    for each point of the grid it is told what the search has to show for it.
    """
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    processor = keep_to_one_core()
    # Read by the libraries as they are imported.
    os.environ["OMP_NUM_THREADS"] = "1"
    with ProgressBar(Console(stderr=True)) as progress, errors_reported(_PROGRAM):
        from benchmarks.lib.contest_choices import (  # noqa: PLC0415 - imports torch
            ContestChoices,
            hold_as_chosen,
        )

        # Torch tells of deprecations that the ADR on formats deals with.
        warnings.simplefilter("ignore")
        contest = hold_as_chosen(
            ContestChoices(
                network=network,
                data=data,
                weights=weights,
                input_size=input_size,
                recipe=recipe or (str(_QUICK_RECIPE) if quick else "front"),
                budget=budget,
                max_top1_drop=max_top1_drop,
                pace=Pace(rounds=rounds or (_QUICK_ROUNDS if quick else _ROUNDS)),
                training_epochs=_QUICK_EPOCHS if quick else _EPOCHS,
                seed=seed,
                out=out,
                started_at=started_at,
                processor=processor,
                versions=versions(_PACKAGES),
                progress=progress,
            )
        )
    if as_json:
        print_json(contest)
        return
    from benchmarks.lib.contest_tables import print_contest  # noqa: PLC0415 - imports torch

    print_contest(contest, table_console())
