"""Axes: where a value lies between two ends, and which values get a tick."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

_NICE_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_SPARSE = (1.0, 2.0, 5.0)
_DENSE = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.0)
_ENOUGH_TICKS = 4
_MARGIN = 0.06


class Scale(Protocol):
    """One axis."""

    @property
    def low(self) -> float:
        """Value at the low end."""

    @property
    def high(self) -> float:
        """Value at the high end."""

    def at(self, value: float) -> float:
        """Place of `value`: 0 at the low end of the axis, 1 at the high one."""

    def ticks(self) -> list[float]:
        """Round values within the axis, ascending."""


@dataclass(frozen=True)
class Linear:
    """Equal differences are equally far apart."""

    low: float
    high: float
    wanted_ticks: int = 8

    def at(self, value: float) -> float:
        """Place of `value` between the ends."""
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Multiples of 1, 2, 2.5 or 5 times a power of ten."""
        step = _nice((self.high - self.low) / self.wanted_ticks)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)]


@dataclass(frozen=True)
class Log:
    """Equal ratios are equally far apart; both ends are above 0."""

    low: float
    high: float

    def at(self, value: float) -> float:
        """Place of `value` between the ends."""
        return math.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self) -> list[float]:
        """Powers of ten with 2 and 5 between; more of them on a short axis."""
        for steps in (_SPARSE, _DENSE):
            found = self._multiples(steps)
            if len(found) >= _ENOUGH_TICKS:
                return found
        return Linear(self.low, self.high).ticks()

    def _multiples(self, steps: Sequence[float]) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        every = (step * 10.0**decade for decade in decades for step in steps)
        return [value for value in every if self.low <= value <= self.high]


@dataclass(frozen=True)
class Places:
    """So many things beside each other, numbered from 0; there is room between them."""

    count: int

    @property
    def low(self) -> float:
        """Half a place before the first."""
        return -0.5

    @property
    def high(self) -> float:
        """Half a place behind the last."""
        return self.count - 0.5

    def at(self, value: float) -> float:
        """Place of the thing with that number."""
        return (value + 0.5) / self.count

    def ticks(self) -> list[float]:
        """Every number."""
        return [float(number) for number in range(self.count)]


def linear_around(
    values: Sequence[float], *, floor: float | None = None, ceiling: float | None = None
) -> Linear:
    """A linear axis with a little air around `values`, not beyond `floor` and `ceiling`."""
    low, high = min(values), max(values)
    air = (high - low) * _MARGIN or abs(high) * _MARGIN or 1.0
    low, high = low - air, high + air
    if floor is not None:
        low = max(low, floor)
    if ceiling is not None:
        high = min(high, ceiling)
    return Linear(low, high)


def log_around(values: Sequence[float]) -> Log:
    """A logarithmic axis with a little air around positive `values`."""
    low, high = min(values), max(values)
    air = max((high / low) ** _MARGIN, 1.1)
    return Log(low / air, high * air)


def _nice(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next((step * power for step in _NICE_STEPS if step * power >= rough), 10.0 * power)
