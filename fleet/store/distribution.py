"""What a run's latencies were like, from its raw samples or from what replaced them."""

from __future__ import annotations

import enum
import math
import struct
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from fleet.store.schema import epochs, rollups, samples

_BYTES_EACH = 8
#: Quantiles that are kept, as shares.
_SHARES = {
    "p1_ms": 0.01, "p5_ms": 0.05, "p10_ms": 0.10, "p25_ms": 0.25, "p50_ms": 0.50,
    "p75_ms": 0.75, "p90_ms": 0.90, "p95_ms": 0.95, "p99_ms": 0.99, "p99_9_ms": 0.999,
}  # fmt: skip


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of the samples of one run, in milliseconds.

    Quantiles are linear between neighbours (Hyndman and Fan, 1996, type 7), as those of the
    run itself. Of few samples, the outer ones are no more than the least and the largest.
    """

    n: int
    min_ms: float
    max_ms: float
    mean_ms: float
    #: Of the samples as a sample (n - 1); None for a single one.
    stddev_ms: float | None
    p1_ms: float
    p5_ms: float
    p10_ms: float
    p25_ms: float
    p50_ms: float
    p75_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    p99_9_ms: float


class Kept(enum.StrEnum):
    """In which form the store has the samples of a run."""

    RAW = "raw"
    ROLLED_UP = "rolled-up"


class RunDistribution(msgspec.Struct, frozen=True, kw_only=True):
    """The distribution of one stored run, and from what it is known."""

    kept: Kept
    distribution: Distribution


def distribution_of(samples_ms: Sequence[float]) -> Distribution:
    """Distribution of at least one sample."""
    ordered = sorted(samples_ms)
    count = len(ordered)
    # A power of two changes no digit, and the square of no latency is beyond a double then.
    _, power = math.frexp(ordered[-1])
    scaled = [math.ldexp(value, -power) for value in ordered]
    mean = math.fsum(scaled) / count
    squares = math.fsum((value - mean) ** 2 for value in scaled)
    return Distribution(
        n=count,
        min_ms=ordered[0],
        max_ms=ordered[-1],
        mean_ms=math.ldexp(mean, power),
        stddev_ms=math.ldexp(math.sqrt(squares / (count - 1)), power) if count > 1 else None,
        **{name: _quantile(ordered, share) for name, share in _SHARES.items()},
    )


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between neighbours; never outside of them, whatever the rounding."""
    place = (len(ordered) - 1) * share
    below = math.floor(place)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    return min(max(low + (high - low) * (place - below), low), high)


def unpack_samples(packed: bytes) -> tuple[float, ...]:
    """Samples in milliseconds as they lie in the store, in the order of their measuring."""
    return struct.unpack(f"<{len(packed) // _BYTES_EACH}d", packed)


def distributions_of(
    connection: sa.Connection, device_id: int
) -> dict[tuple[str, int], RunDistribution]:
    """Distribution of each run of a device that has samples or a roll-up, by outbox and place."""
    of_device = epochs.c.device_id == device_id
    found = {}
    rolled = connection.execute(
        sa.select(epochs.c.epoch, rollups)
        .join(epochs, epochs.c.id == rollups.c.epoch_id)
        .where(of_device)
    )
    for row in rolled.mappings():
        figures = {name: row[name] for name in Distribution.__struct_fields__}
        found[row["epoch"], row["seq"]] = RunDistribution(
            kept=Kept.ROLLED_UP, distribution=Distribution(**figures)
        )
    raw = connection.execute(
        sa.select(epochs.c.epoch, samples.c.seq, samples.c.latencies_ms)
        .join(epochs, epochs.c.id == samples.c.epoch_id)
        .where(of_device)
    )
    for epoch, seq, packed in raw:
        found[epoch, seq] = RunDistribution(
            kept=Kept.RAW, distribution=distribution_of(unpack_samples(packed))
        )
    return found
