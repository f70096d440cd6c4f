"""The limits and objectives that hold for one device, and the small language of both."""

from __future__ import annotations

import difflib
import enum
import math
import re

import msgspec

from fleet.choosing.candidate import Candidate
from fleet.choosing.demand import Demand
from fleet.choosing.metric import Direction, Metric
from fleet.errors import MalformedTermError

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
    #: Never empty: a policy that asks for no evidence has none, as those before there were any.
    demands: tuple[Demand, ...] | msgspec.UnsetType = msgspec.UNSET

    @property
    def asked(self) -> tuple[Demand, ...]:
        """What is asked of a run's evidence."""
        return () if self.demands is msgspec.UNSET else self.demands


def zero_scale(metric: Metric) -> float:
    """What counts as one whole excess where the limit is zero."""
    return _ZERO_LIMIT_SHARE if metric.is_share else _ZERO_LIMIT_OTHER


def parse_constraint(text: str, *, origin: str) -> Constraint:
    """Constraint written as `METRIC <= NUMBER` or `METRIC >= NUMBER`.

    Raises:
        MalformedTermError: malformed, an unknown metric, or a limit on the metric's good side.
    """
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        expected = "METRIC <= NUMBER or METRIC >= NUMBER"
        raise MalformedTermError(expected, "write it such as 'p95_ms <= 150'")
    metric = _metric(match, 1)
    operator = Operator(match[2])
    right = Operator.AT_LEAST if metric.better is Direction.MAX else Operator.AT_MOST
    if operator is not right:
        better = "higher" if metric.better is Direction.MAX else "lower"
        expected = f"'{right.value}', for {metric.value} is better when {better}"
        advice = f"write '{metric.value} {right.value} {match[3]}'"
        raise MalformedTermError(expected, advice, offset=match.start(2))
    limit = _number(match[3])
    if not math.isfinite(limit):
        expected = f"a finite number after '{operator.value}'"
        advice = f"write it such as '{metric.value} {operator.value} 150'"
        raise MalformedTermError(expected, advice, offset=match.start(3))
    if metric.is_share and not -1 <= limit <= 1:
        expected = f"a share from 0 to 1 for {metric.value}"
        advice = f"for {limit:g} % write {limit / 100:g}"
        raise MalformedTermError(expected, advice, offset=match.start(3))
    return Constraint(metric=metric, operator=operator, limit=limit, origin=origin)


def parse_objective(text: str) -> Objective:
    """Objective written as `min METRIC` or `max METRIC`.

    Raises:
        MalformedTermError: malformed, an unknown metric, or the metric's bad direction.
    """
    match = _OBJECTIVE.fullmatch(text)
    if match is None:
        expected = "'min METRIC' or 'max METRIC'"
        raise MalformedTermError(expected, "write it such as 'max top1'")
    metric = _metric(match, 2)
    if match[1] != metric.better.value:
        better = "higher" if metric.better is Direction.MAX else "lower"
        expected = f"'{metric.better.value}', for {metric.value} is better when {better}"
        advice = f"write '{metric.better.value} {metric.value}'"
        raise MalformedTermError(expected, advice, offset=match.start(1))
    return Objective(metric)


def _metric(match: re.Match[str], group: int) -> Metric:
    try:
        return Metric(match[group])
    except ValueError:
        near = difflib.get_close_matches(match[group], list(Metric), n=1)
        expected = f"a metric, one of {', '.join(Metric)}"
        advice = f"did you mean '{near[0]}'?" if near else "take one of these"
        raise MalformedTermError(expected, advice, offset=match.start(group)) from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
