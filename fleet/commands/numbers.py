"""Numbers that options take, within what a store and a clock can work with."""

from __future__ import annotations

import math
from typing import Any

import click

#: Integers up to here fit into either database, with room to add to them.
_HIGHEST = 2**62


class RowNumber(click.IntRange):
    """A row's number, or how many rows: from 1, and no more than a store can hold."""

    def __init__(self) -> None:
        super().__init__(min=1)

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """Read the number."""
        number = int(super().convert(value, param, ctx))
        if number > _HIGHEST:
            self.fail(f"{number} is more than a store can hold.", param, ctx)
        return number


class FiniteRange(click.FloatRange):
    """A float within a range; nan, which compares with no bound, and inf are in none."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Read the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number
