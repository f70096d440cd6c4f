"""The section `growth`: what storing a result costs in a large store, against a small one."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import time
from pathlib import Path

import msgspec
from rich.table import Table

from benchmarks.lib.findings import Finding
from benchmarks.lib.fleet_occasion import FleetOccasion
from benchmarks.lib.result_stream import results
from benchmarks.lib.tables import measured_table
from contract.interval import median_interval
from fleet.collecting.intake import Intake
from fleet.garbage import expect_many_objects
from fleet.mqtt.delivery import Delivery
from fleet.store.database import open_database

_DEVICES = 1000
#: What the collector takes at once under load; two results of every device, for as few to a place
#: in the index are the most work.
_BATCH = 1000
_SMALL = 1_000
#: Stored results at which the large store is looked at; the quick run leaves out the last.
_MARKS = (10_000, 100_000, 1_000_000)
#: Pairs of batches, one into either store.
_PAIRS = 25


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """Processor time of one result in the large store and, in turns with it, in a small one."""

    stored: int
    cpu_us: float
    small_cpu_us: float
    #: Large by small: the median over the pairs, and its 95 % interval.
    ratio: float
    low: float | None
    high: float | None


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """What the section found."""

    devices: int
    batch: int
    costs: list[Cost]
    store_bytes: int


class _Store:
    """A store that is given batch after batch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = open_database(f"sqlite:///{path}", create=True)
        self.stored = 0
        self._intake = Intake(self.database)
        self._stream = results(_DEVICES, 1 << 40)

    def take(self) -> float:
        """Store a batch; gives the processor time of one result, in microseconds."""
        batch = [
            Delivery(topic=topic, payload=payload, retained=False, received_at=time.time())
            for topic, payload in itertools.islice(self._stream, _BATCH)
        ]
        began = time.thread_time()
        self.stored += self._intake.take(batch, now=time.time()).stored
        return (time.thread_time() - began) / _BATCH * 1e6


def measure_growth(occasion: FleetOccasion) -> Finding:
    """Fill a store, and at some sizes time it in turns with a small one.

    No broker takes part: what the connection takes does not know how much is stored.
    """
    marks = _MARKS[:-1] if occasion.quick else _MARKS
    expect_many_objects()
    large = _Store(occasion.scratch / "large.db")
    costs: list[Cost] = []
    with contextlib.closing(large.database):
        for mark in marks:
            while large.stored < mark:
                large.take()
                occasion.progress.update("storing", large.stored, marks[-1])
            costs.append(_cost(mark, large, occasion.scratch / f"small-{mark}.db"))
        size = large.path.stat().st_size
    found = Growth(devices=_DEVICES, batch=_BATCH, costs=costs, store_bytes=size)
    remark = (
        f"SQLite, batches of {_BATCH:,}, of {_DEVICES:,} devices in turn; "
        f"{_PAIRS} batches into either store in turns, the small one has {_SMALL:,} at first; "
        f"the large one takes {size / 1e6:,.0f} MB at last"
    )
    return Finding(document=found, tables=[_table(found)], remarks=[remark])


def _cost(mark: int, large: _Store, path: Path) -> Cost:
    small = _Store(path)
    with contextlib.closing(small.database):
        while small.stored < _SMALL:
            small.take()
        pairs = [(large.take(), small.take()) for _ in range(_PAIRS)]
    ratios = [one / other for one, other in pairs]
    interval = median_interval(ratios)
    return Cost(
        stored=mark,
        cpu_us=statistics.median(one for one, _ in pairs),
        small_cpu_us=statistics.median(other for _, other in pairs),
        ratio=statistics.median(ratios),
        low=interval.low if interval else None,
        high=interval.high if interval else None,
    )


def _table(found: Growth) -> Table:
    table = measured_table(
        "Storing a result: processor us", ("large store", "small store", "ratio", "95 %")
    )
    for one in found.costs:
        interval = "-" if one.low is None else f"{one.low:.2f} to {one.high:.2f}"
        table.add_row(
            f"{one.stored:,} stored",
            f"{one.cpu_us:.0f}",
            f"{one.small_cpu_us:.0f}",
            f"{one.ratio:.2f}",
            interval,
        )
    return table
