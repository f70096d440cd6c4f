"""What can be exported: the columns of each subject, and its rows a page at a time."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from contract.benchmark import BenchRun
from fleet.choosing.policy import Policy
from fleet.exporting.column import Cell, Column, columns_of
from fleet.reports.report import (
    DeviceReport,
    RecommendationReport,
    ResultReport,
    report_arrival,
    report_recommendation,
)
from fleet.reports.roster import report_devices
from fleet.store.database import Database
from fleet.store.history import Arrival, WhichRuns, page_of_arrivals
from fleet.store.recommendation import recommend
from fleet.store.roster import Device, Which, page_of_devices

_PAGE = 1000


class Subject(enum.StrEnum):
    """What an export tells of."""

    RESULTS = "results"
    DEVICES = "devices"
    RECOMMENDATIONS = "recommendations"


class Source(msgspec.Struct, frozen=True):
    """One subject: its columns, and its rows page by page, each in a transaction of its own.

    A row is told whole by `document`, as `--json` does, or by `cells`, one for each column.
    """

    columns: list[Column]
    pages: Iterator[Sequence[Any]]
    document: Callable[[Any], object]
    cells: Callable[[Any], list[Cell]]


def results_source(database: Database, which: WhichRuns) -> Source:
    """Stored runs in the order of their arrival, without raw samples."""
    where = columns_of(ResultReport)
    run = columns_of(BenchRun, leave_out=("samples_ms",))

    def pages() -> Iterator[Sequence[Arrival]]:
        after = 0
        while True:
            with database.reading() as connection:
                page = page_of_arrivals(connection, after=after, limit=_PAGE, which=which)
            if not page:
                return
            yield page
            after = page[-1].number

    def cells(one: Arrival) -> list[Cell]:
        return [
            *(column.cell(one) for column in where),
            *(column.cell(one.run) for column in run),
        ]

    return Source([*where, *run], pages(), report_arrival, cells)


def devices_source(database: Database, which: Which, *, now: float) -> Source:
    """The devices, by site and name."""
    columns = columns_of(DeviceReport, leave_out=("inventory.site", "inventory.device"))

    def pages() -> Iterator[Sequence[DeviceReport]]:
        for page in _pages_of_devices(database, which):
            with database.reading() as connection:
                yield report_devices(connection, page, now=now)

    return Source(columns, pages(), _as_it_is, _cells_of(columns))


def recommendations_source(
    database: Database, which: Which, policy: Policy, *, now: float
) -> Source:
    """A recommendation for each device, by site and name; new ones are stored."""
    columns = columns_of(RecommendationReport)

    def pages() -> Iterator[Sequence[RecommendationReport]]:
        for page in _pages_of_devices(database, which):
            found = recommend(database, policy, [device.id for device in page], now=now)
            yield [report_recommendation(one) for one in found]

    return Source(columns, pages(), _as_it_is, _cells_of(columns))


def _as_it_is(document: object) -> object:
    return document


def _cells_of(columns: list[Column]) -> Callable[[object], list[Cell]]:
    return lambda document: [column.cell(document) for column in columns]


def _pages_of_devices(database: Database, which: Which) -> Iterator[list[Device]]:
    after = None
    while True:
        with database.reading() as connection:
            page = page_of_devices(connection, after=after, limit=_PAGE, which=which)
        if not page:
            return
        yield page
        after = (page[-1].site, page[-1].device)
