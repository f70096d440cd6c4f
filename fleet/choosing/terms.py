"""The limits and objectives that hold for one device, and the small language of both."""

from __future__ import annotations

import enum
import math
import re

import msgspec

from fleet.choosing.candidate import Candidate
from fleet.choosing.metric import Direction, Metric
from fleet.errors import PolicyError

_CONSTRAINT = re.compile(r"\s*([A-Za-z0-9_]+)\s*(<=|>=)\s*([-+0-9.eE]+)\s*")
_OBJECTIVE = re.compile(r"\s*(min|max)\s+([A-Za-z0-9_]+)\s*")

#: One hundredth of a limit of zero is nothing to compare with; then a point or a unit is.
_ZERO_LIMIT_SHARE = 0.01
_ZERO_LIMIT_OTHER = 1.0


class Operator(enum.StrEnum):
    """Which side of its limit a metric has to stay on."""

    AT_MOST = "<="
    AT_LEAST = ">="


class Constraint(msgspec.Struct, frozen=True, kw_only=True):
    """A hard limit; `origin` says which part of the policy set it."""

    metric: Metric
    operator: Operator
    limit: float
    origin: str

    def __str__(self) -> str:
        """Render as it is written in a policy."""
        return f"{self.metric.value} {self.operator.value} {self.limit:g}"

    def is_met(self, value: float | None) -> bool:
        """Whether a measured value stays within the limit; what was not measured does not."""
        if value is None:
            return False
        return value <= self.limit if self.operator is Operator.AT_MOST else value >= self.limit

    def excess(self, value: float | None) -> float:
        """How far beyond the limit, as a share of the limit; 0 within, infinite unmeasured.

        Shares of a limit make milliseconds and megabytes comparable. A limit of zero counts
        in points for shares of images, and in units otherwise.
        """
        if value is None:
            return math.inf
        beyond = value - self.limit if self.operator is Operator.AT_MOST else self.limit - value
        return max(0.0, beyond) / (abs(self.limit) or zero_scale(self.metric))

    def violation_by(self, candidate: Candidate) -> Violation | None:
        """How a candidate breaks this limit; None where it keeps it."""
        value = self.metric.of(candidate)
        if self.is_met(value):
            return None
        return Violation(
            constraint=str(self),
            metric=self.metric,
            limit=self.limit,
            value=value,
            origin=self.origin,
        )


class Violation(msgspec.Struct, frozen=True, kw_only=True):
    """One limit that one candidate breaks; `value` None where it was not measured."""

    constraint: str
    metric: Metric
    limit: float
    value: float | None
    origin: str

    def __str__(self) -> str:
        """Say what was measured, and by how much it is beyond the limit."""
        if self.value is None:
            return f"{self.metric.value} was not measured ({self.constraint})"
        gap = self.metric.words(abs(self.value - self.limit))
        if self.metric.is_share:
            gap = f"{abs(self.value - self.limit) * 100:.2f} points"
        return (
            f"{self.metric.value} {self.metric.words(self.value)} misses {self.constraint} by {gap}"
        )


class Objective(msgspec.Struct, frozen=True):
    """A metric to make as good as possible; the direction follows from the metric."""

    metric: Metric

    def __str__(self) -> str:
        """Render as it is written in a policy."""
        return f"{self.metric.better.value} {self.metric.value}"


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """A policy after the overrides for one device: all that choosing needs of it."""

    policy: str
    constraints: tuple[Constraint, ...]
    objectives: tuple[Objective, ...]


def zero_scale(metric: Metric) -> float:
    """What counts as one whole excess where the limit is zero."""
    return _ZERO_LIMIT_SHARE if metric.is_share else _ZERO_LIMIT_OTHER


def parse_constraint(text: str, *, place: str, origin: str) -> Constraint:
    """Constraint written as `METRIC <= NUMBER` or `METRIC >= NUMBER`.

    Raises:
        PolicyError: malformed, an unknown metric, or a limit on the metric's good side.
    """
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        message = f"{place} '{text}': expected METRIC <= NUMBER, such as 'p95_ms <= 150'"
        raise PolicyError(message)
    metric = _metric(match[1], place)
    operator = Operator(match[2])
    expected = Operator.AT_LEAST if metric.better is Direction.MAX else Operator.AT_MOST
    if operator is not expected:
        message = (
            f"{place} '{text}': {metric.value} is better when "
            f"{'higher' if metric.better is Direction.MAX else 'lower'}; expected "
            f"'{metric.value} {expected.value} {match[3]}'"
        )
        raise PolicyError(message)
    try:
        limit = float(match[3])
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        message = f"{place} '{text}': expected a number after {operator.value}, got '{match[3]}'"
        raise PolicyError(message)
    if metric.is_share and not -1 <= limit <= 1:
        message = (
            f"{place} '{text}': {metric.value} is a share from 0 to 1; expected a limit such as "
            f"{limit / 100:g} for {limit:g} %"
        )
        raise PolicyError(message)
    return Constraint(metric=metric, operator=operator, limit=limit, origin=origin)


def parse_objective(text: str, *, place: str) -> Objective:
    """Objective written as `min METRIC` or `max METRIC`.

    Raises:
        PolicyError: malformed, an unknown metric, or the metric's bad direction.
    """
    match = _OBJECTIVE.fullmatch(text)
    if match is None:
        message = f"{place} '{text}': expected 'min METRIC' or 'max METRIC', such as 'max top1'"
        raise PolicyError(message)
    metric = _metric(match[2], place)
    if match[1] != metric.better.value:
        message = f"{place} '{text}': expected '{metric.better.value} {metric.value}'"
        raise PolicyError(message)
    return Objective(metric)


def _metric(name: str, place: str) -> Metric:
    try:
        return Metric(name)
    except ValueError:
        message = f"{place}: unknown metric '{name}'; expected one of {', '.join(Metric)}"
        raise PolicyError(message) from None
