"""What the serving benchmark found, as one document and as tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence

import msgspec
from rich.table import Table

from benchmarks.lib.processor import Processor
from benchmarks.lib.tables import conditions, disturbance, measured_table

_MEGABYTE = 1_000_000
_MEGAPIXEL = 1_000_000
#: Below this many, the highest percentile is only the slowest of a handful.
_ENOUGH_FOR_P99 = 100


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Percentiles in milliseconds; p99 None for fewer than a hundred requests."""

    p50_ms: float
    p95_ms: float
    p99_ms: float | None


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """One size of photograph; parts as the server told them, the rest as the client saw it."""

    width: int
    height: int
    bytes: int
    requests: int
    #: From sending the first byte to having the whole answer.
    end_to_end: Spread
    #: Processor time of server and worker for one request, on average; others do not add to it.
    cpu_ms: float
    decode: Spread
    preprocess: Spread
    inference: Spread
    postprocess: Spread
    #: HTTP, pipes and waiting: what end to end is more than the parts.
    rest: Spread
    samples_ms: list[float]


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the benchmark."""

    started_at: str
    processor: Processor
    versions: dict[str, str]
    network: str
    variant: str
    labels: int
    fast_decode: bool
    #: Share (0..1) of the server's core that went to others than the server.
    foreign_share: float | None
    #: Whether client and server had the same core.
    shares_core: bool
    server_rss_bytes: int
    worker_rss_bytes: int
    photographs: list[Sent]


def spread(samples_ms: Sequence[float]) -> Spread:
    """Percentiles of at least two samples."""
    cuts = statistics.quantiles(samples_ms, n=100, method="inclusive")
    has_p99 = len(samples_ms) >= _ENOUGH_FOR_P99
    return Spread(
        p50_ms=statistics.median(samples_ms),
        p95_ms=cuts[94],
        p99_ms=cuts[98] if has_p99 else None,
    )


def heading(served: Served) -> Iterator[str]:
    """Lines that say what the figures were measured on."""
    yield from conditions(served.processor, served.versions)
    yield f"{served.variant}, {served.labels:,} labels, random weights, one thread" + (
        "; large JPEGs decoded at a fraction of their size" if served.fast_decode else ""
    )
    yield from disturbance(served.foreign_share)
    if served.shares_core:
        yield "the client shares the server's core: there is only this one"
    yield (
        f"memory: server {served.server_rss_bytes / _MEGABYTE:.0f} MB, "
        f"worker {served.worker_rss_bytes / _MEGABYTE:.0f} MB"
    )


def end_to_end_table(served: Served) -> Table:
    """One row a size of photograph: what a client sees."""
    columns = ("megapixels", "kB", "requests", "p50 ms", "p95 ms", "p99 ms", "CPU ms")
    table = measured_table("End to end, as the client sees it", columns)
    for sent in served.photographs:
        times = sent.end_to_end
        table.add_row(
            f"{sent.width} x {sent.height}",
            f"{sent.width * sent.height / _MEGAPIXEL:.1f}",
            f"{sent.bytes / 1000:,.0f}",
            str(sent.requests),
            f"{times.p50_ms:.1f}",
            f"{times.p95_ms:.1f}",
            "" if times.p99_ms is None else f"{times.p99_ms:.1f}",
            f"{sent.cpu_ms:.1f}",
        )
    return table


def parts_table(served: Served) -> Table:
    """One row a size of photograph: where the time goes."""
    names = ("decode", "preprocess", "inference", "postprocess", "rest")
    table = measured_table("Where it goes: p50 / p95 in ms", names)
    for sent in served.photographs:
        parts = (getattr(sent, name) for name in names)
        table.add_row(
            f"{sent.width} x {sent.height}",
            *(f"{part.p50_ms:.1f} / {part.p95_ms:.1f}" for part in parts),
        )
    return table
