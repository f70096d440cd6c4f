"""The section `choosing`: every device of a large store from cold, and the first page after it."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from pathlib import Path

import msgspec
from rich.table import Table

from benchmarks.lib import cold_choice
from benchmarks.lib.cold_choice import ColdChoice
from benchmarks.lib.findings import Finding
from benchmarks.lib.fleet_occasion import FleetOccasion
from benchmarks.lib.measured_fleet import POLICY, VARIANTS, fill
from benchmarks.lib.tables import measured_table
from fleet.choosing.policy import load_policy
from fleet.garbage import expect_many_objects
from fleet.reports.report import report_recommendation
from fleet.store.database import Database, open_database
from fleet.store.recommendation import recommend
from fleet.store.roster import page_of_devices

_DEVICES, _QUICK_DEVICES = 100_000, 3_000
#: Cold starts, each under a policy of a name of its own, so that nothing is decided before.
_STARTS = 3
_PAGE = 50
_PAGES = 20


class Choosing(msgspec.Struct, frozen=True, kw_only=True):
    """What the section found."""

    devices: int
    variants: int
    store_bytes: int
    cold: list[ColdChoice]
    page: int
    #: From asking the store to the documents of a page, in milliseconds: the first page, again
    #: and again.
    first_page_p50_ms: float
    first_page_max_ms: float


def measure_choosing(occasion: FleetOccasion) -> Finding:
    """Fill a store, decide for all of it from cold, then ask for its first page."""
    devices = _QUICK_DEVICES if occasion.quick else _DEVICES
    path = occasion.scratch / "fleet.db"
    url = f"sqlite:///{path}"
    expect_many_objects()
    with contextlib.closing(open_database(url, create=True)) as database:
        fill(
            database,
            devices,
            lambda stored: occasion.progress.update("storing", stored, devices * VARIANTS),
        )
        cold = []
        for start in range(_STARTS):
            policy = occasion.scratch / f"policy-{start}.toml"
            policy.write_text(POLICY.replace("bench", f"bench-{start}"))
            cold.append(_cold(url, policy))
            occasion.progress.update("deciding for all", start + 1, _STARTS)
        pages_ms = [_page_ms(database, policy) for _ in range(_PAGES)]
    found = Choosing(
        devices=devices,
        variants=VARIANTS,
        store_bytes=path.stat().st_size,
        cold=cold,
        page=_PAGE,
        first_page_p50_ms=statistics.median(pages_ms),
        first_page_max_ms=max(pages_ms),
    )
    remark = (
        f"SQLite of {found.store_bytes / 1e6:,.0f} MB with {devices:,} devices, {VARIANTS} runs "
        f"each; three limits, two objectives; {_STARTS} cold starts, each in a fresh process that "
        f"stores every decision; {_PAGES} times the first {_PAGE} devices, decided before"
    )
    return Finding(
        document=found, tables=[_cold_table(found), _page_table(found)], remarks=[remark]
    )


def _cold(url: str, policy: Path) -> ColdChoice:
    done = subprocess.run(
        [sys.executable, cold_choice.__file__, url, str(policy)],
        check=True,
        capture_output=True,
    )
    return msgspec.json.decode(done.stdout, type=ColdChoice)


def _page_ms(database: Database, policy_file: Path) -> float:
    policy = load_policy(str(policy_file))
    began = time.perf_counter()
    with database.reading() as connection:
        page = page_of_devices(connection, after=None, limit=_PAGE)
    found = recommend(database, policy, [one.id for one in page], now=time.time())
    msgspec.json.encode([report_recommendation(one) for one in found])
    return (time.perf_counter() - began) * 1000


def _cold_table(found: Choosing) -> Table:
    table = measured_table(
        f"{found.devices:,} devices x {found.variants} variants, from cold",
        ("start s", "deciding s", "processor s", "peak MB"),
    )
    for number, one in enumerate(found.cold, start=1):
        table.add_row(
            f"start {number}",
            f"{one.start_s:.2f}",
            f"{one.wall_s:.2f}",
            f"{one.cpu_s:.2f}",
            f"{one.peak_rss_bytes / 1e6:.0f}",
        )
    return table


def _page_table(found: Choosing) -> Table:
    table = measured_table("First page of recommendations", ("p50 ms", "max ms"))
    table.add_row(
        f"{found.page} of {found.devices:,} devices",
        f"{found.first_page_p50_ms:.0f}",
        f"{found.first_page_max_ms:.0f}",
    )
    return table
