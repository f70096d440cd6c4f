"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import cast

import click

from builder.data.standardization import Channels, Standardization, checked_mean, checked_std


class Number(click.FloatRange):
    """A number within limits; "nan", which is within none, is refused too."""

    def __init__(
        self,
        *,
        min: float | None = None,  # noqa: A002 - click's name
        max: float | None = None,  # noqa: A002 - click's name
        min_open: bool = False,
        hint: str | None = None,
    ) -> None:
        """Take numbers from `min` to `max`; `hint` says what they mean where one is refused."""
        super().__init__(min=min, max=max, min_open=min_open)
        self._hint = hint

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read the number."""
        try:
            number = float(super().convert(cast("float", value), param, ctx))
        except click.BadParameter as error:
            self.fail(self._explained(error.message), param, ctx)
        if math.isnan(number):
            self.fail(self._explained(f"'{value}' is not a number."), param, ctx)
        return number

    def _explained(self, message: str) -> str:
        return message if self._hint is None else f"{message} Expected {self._hint}."


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
    help="Side of the input. [default: the weights' or the network's own, else 224]",
)


def _channels(
    check: Callable[[object], Channels],
) -> Callable[[click.Context, click.Parameter, str | None], Channels | None]:
    def convert(
        context: click.Context, option: click.Parameter, value: str | None
    ) -> Channels | None:
        try:
            return None if value is None else check(value.split(","))
        except ValueError as error:
            raise click.BadParameter(str(error), context, option) from error

    return convert


mean_option = click.option(
    "--mean",
    callback=_channels(checked_mean),
    metavar="R,G,B",
    help="What is subtracted from inputs scaled to 0..1. [default: the network's own, else "
    "ImageNet's]",
)
std_option = click.option(
    "--std",
    callback=_channels(checked_std),
    metavar="R,G,B",
    help="What they are divided by then; goes with --mean.",
)


def asked_standardization(mean: Channels | None, std: Channels | None) -> Standardization | None:
    """Both options as one; None where neither was given.

    Raises:
        click.UsageError: one without the other.
    """
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        message = "--mean and --std go together: give both, or neither"
        raise click.UsageError(message)
    return Standardization(mean=mean, std=std)


seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**32 - 1),
    default=0,
    show_default=True,
    help="Random weights, shuffling and calibration are drawn from it.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document only.")
