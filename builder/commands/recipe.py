"""Options that say how variants are made, whether by a recipe or by a search."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import click
import msgspec

from builder.recipe import EngineName, Recipe

ENGINES = get_args(EngineName)

out_option = click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the bundle set; what it holds is kept, finished variants are reused.",
)
finetune_option = click.option(
    "--finetune-epochs",
    type=click.IntRange(min=0),
    metavar="N",
    help="Epochs of tuning after pruning; 0 tunes nothing. [default: the recipe's]",
)
mirror_option = click.option(
    "--mirror",
    is_flag=True,
    help="Tune on mirrored images too: what is seen may face either way. Not for digits or text.",
)

report_option = click.option(
    "--report/--no-report",
    "with_report",
    default=True,
    show_default=True,
    help="Time the variants on this host, and write report.html, .json and .csv into the set.",
)


def with_mirror(recipe: Recipe, *, mirror: bool) -> Recipe:
    """Return the recipe, tuning on mirrored images too where `mirror` is set."""
    if not mirror:
        return recipe
    tuning = msgspec.structs.replace(recipe.tuning, mirror=True)
    return msgspec.structs.replace(recipe, tuning=tuning)
