"""Options that several commands share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

import click


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
    help="Side of the input. [default: the network's own, 224 for most]",
)
seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0, max=2**32 - 1),
    default=0,
    show_default=True,
    help="Random weights, shuffling and calibration are drawn from it.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document only.")
