"""Options that say how variants are made, whether by a recipe or by a search."""

from __future__ import annotations

import click

from builder.recipe import shipped_recipes

ENGINES = ("x86", "onednn", "qnnpack")

recipe_option = click.option(
    "--recipe",
    default="edgewright",
    show_default=True,
    metavar="NAME|FILE.toml",
    help=f"Which variants: {', '.join(shipped_recipes())}, or a file of the same form.",
)
finetune_option = click.option(
    "--finetune-epochs",
    type=click.IntRange(min=0),
    metavar="N",
    help="Epochs of tuning after pruning; 0 tunes nothing. [default: the recipe's]",
)
