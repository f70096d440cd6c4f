"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

data_option = click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR|cifar10",
    help="Folder with train/ and val/, a folder per class in each; one flat folder of images; or "
    "'cifar10', which is fetched once.",
)
input_size_option = click.option(
    "--input-size",
    type=click.IntRange(min=8),
    metavar="PX",
    help="Side of the input. [default: the network's own, 224 for most]",
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Random weights, shuffling and calibration are drawn from it.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document only.")
