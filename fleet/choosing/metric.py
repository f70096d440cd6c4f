"""What policies can limit and optimise: figures of a run, each with its good direction."""

from __future__ import annotations

import enum
import math
import operator
from collections.abc import Callable

from fleet.choosing.candidate import Candidate

#: Megabytes are decimal everywhere: file sizes and memory alike.
BYTES_PER_MB = 1_000_000


class Direction(enum.StrEnum):
    """Which way a metric gets better."""

    MIN = "min"
    MAX = "max"


class Metric(enum.StrEnum):
    """A figure that policies can name; the unit stands in the name, shares are 0 to 1."""

    P50_MS = "p50_ms"
    P95_MS = "p95_ms"
    LOAD_MS = "load_ms"
    FIRST_MS = "first_ms"
    ENERGY_MJ = "energy_mj"
    PEAK_RSS_MB = "peak_rss_mb"
    SIZE_MB = "size_mb"
    TOP1 = "top1"
    TOP3 = "top3"
    TOP1_DROP = "top1_drop"

    @property
    def better(self) -> Direction:
        """Which way this metric gets better."""
        return Direction.MAX if self in _BETTER_WHEN_HIGHER else Direction.MIN

    @property
    def is_share(self) -> bool:
        """Whether this is a share of images."""
        return self in _SHARES

    def of(self, candidate: Candidate) -> float | None:
        """Value of this metric; None where it was not measured."""
        return _VALUES[self](candidate)

    def cost(self, candidate: Candidate) -> float:
        """Value as something to keep small; infinite where it was not measured."""
        value = _VALUES[self](candidate)
        if value is None:
            return math.inf
        return -value if self in _BETTER_WHEN_HIGHER else value

    def words(self, value: float, *, digits: int = 3) -> str:
        """Render a value with its unit, the way a person says it; shares in hundredths of a %."""
        if self is Metric.TOP1_DROP:
            return f"{value * 100:.2f} points"
        if self.is_share:
            return f"{value * 100:.2f} %"
        is_long = abs(value) >= 10 ** (digits - 1)
        number = f"{value:.0f}" if is_long else f"{value:.{digits}g}"
        return f"{number} {self.value.rsplit('_', 1)[1].replace('mb', 'MB').replace('mj', 'mJ')}"


def _value_of(metric: Metric) -> Callable[[Candidate], float | None]:
    if metric is Metric.PEAK_RSS_MB:
        return lambda candidate: _megabytes(candidate.peak_rss_bytes)
    if metric is Metric.SIZE_MB:
        return lambda candidate: _megabytes(candidate.bytes)
    return operator.attrgetter(metric.value)


def _megabytes(count: int | None) -> float | None:
    return None if count is None else count / BYTES_PER_MB


# Looked at thousands of times for a device, so found by one step each.
_VALUES = {metric: _value_of(metric) for metric in Metric}
_BETTER_WHEN_HIGHER = frozenset({Metric.TOP1, Metric.TOP3})
_SHARES = frozenset({Metric.TOP1, Metric.TOP3, Metric.TOP1_DROP})
