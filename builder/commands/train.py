"""`train`: a network of one's own, learned from a data folder."""

from __future__ import annotations

from pathlib import Path

import click

from builder.commands.data import data_folder
from builder.commands.endings import errors_reported
from builder.commands.options import (
    Number,
    asked_standardization,
    data_option,
    input_size_option,
    json_option,
    mean_option,
    seed_option,
    std_option,
)
from builder.commands.printing import print_json, print_lines
from builder.data.standardization import Channels
from builder.progress_bar import ProgressBar
from builder.tables import accuracy_text
from edgewright.console import Console


@click.command()
@click.argument("architecture", metavar="ARCH")
@data_option
@click.option("--epochs", required=True, type=click.IntRange(min=1), help="Passes over train/.")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the state dict.",
)
@input_size_option
@mean_option
@std_option
@click.option(
    "--weights",
    default="none",
    show_default=True,
    metavar="none|default|FILE",
    help="What to start from: random, torchvision's ImageNet weights, or a state dict. "
    "The last layer is made anew where the classes differ.",
)
@click.option("--batch-size", type=click.IntRange(min=2), default=32, show_default=True)
@click.option(
    "--lr",
    type=Number(min=0, min_open=True),
    default=5e-4,
    show_default=True,
    help="Peak learning rate (AdamW, one cycle).",
)
@seed_option
@json_option
@click.pass_obj
def train(
    console: Console,
    /,
    *,
    architecture: str,
    data: Path,
    epochs: int,
    out: Path,
    input_size: int | None,
    mean: Channels | None,
    std: Channels | None,
    weights: str,
    batch_size: int,
    lr: float,
    seed: int,
    as_json: bool,
) -> None:
    """Train a network on DIR/train and measure it on DIR/val."""
    standardization = asked_standardization(mean, std)
    with errors_reported():
        from builder import training  # noqa: PLC0415 - imports torch

    request = training.TrainRequest(
        architecture=architecture,
        data=data_folder(data, console),
        out=out,
        weights=weights,
        input_size=input_size,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=lr,
        seed=seed,
        standardization=standardization,
    )
    stopped = f"stopped; {out} was not written, and a rerun starts anew"
    with errors_reported(when_stopped=stopped), ProgressBar(console) as progress:
        trained = training.train(request, search_path=Path.cwd(), progress=progress)
    if as_json:
        print_json(trained)
    else:
        found = f"{trained.parameters:,} parameters, {accuracy_text(trained.accuracy)}"
        print_lines([f"{trained.file}: {trained.architecture}, {found}"])
