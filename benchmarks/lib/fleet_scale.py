"""The section `scale`: several collectors on one store, each commit with a simulated wait."""

from __future__ import annotations

import contextlib
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import psycopg
from rich.table import Table

from benchmarks.lib import mosquitto, postgres, waiting_collector
from benchmarks.lib.findings import Finding
from benchmarks.lib.fleet_occasion import FleetOccasion
from benchmarks.lib.ready import await_ready
from benchmarks.lib.result_publisher import ResultPublisher
from benchmarks.lib.tables import measured_table
from benchmarks.lib.waiting_collector import Collected
from builder.errors import BuilderError
from fleet.store.database import open_database

_COLLECTORS = (1, 2, 4)
#: Not a multiple of any number of collectors: the broker deals results out in turn, and each
#: device is to come to each collector. So many that two collectors seldom want the same device:
#: of looks at the store, under 1 % saw one wait for another.
_DEVICES = 1001
#: Results for each collector while the clock runs.
_EACH, _QUICK_EACH = 1500, 400
_ROUNDS, _QUICK_ROUNDS = 5, 1
#: So many batches for each collector wait behind those that are timed. The broker deals out in
#: turn whoever is slow for a moment; with a third of this the others ran dry meanwhile.
_BEHIND = 30
_PATIENCE_S = 120.0
#: Looking more often costs as much as storing.
_LOOK_S = 0.02


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """How a collector is slowed down."""

    #: Messages that it stores at once, at most.
    batch: int
    #: What it sleeps before each commit.
    wait_s: float


#: What is wanted, and a wait so long that the processor's cores are no limit. Batches are so small
#: that storing one takes less time than the wait.
SETTINGS = (Setting(batch=2, wait_s=0.005), Setting(batch=10, wait_s=0.025))


class ScaleRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run: results stored while the clock ran, and what it took."""

    collectors: int
    setting: Setting
    results: int
    seconds: float
    #: Of collectors with their link processes, broker, store and what watches, together.
    cpu_s: float
    #: Messages that the collectors stored at once, on average over the whole run.
    mean_batch: float

    @property
    def rate(self) -> float:
        """Results a second."""
        return self.results / self.seconds


class ScaleRow(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of as many collectors in one setting; figures are medians over them."""

    collectors: int
    setting: Setting
    runs: list[ScaleRun]
    rate: float
    #: By the rate of one collector.
    ratio: float
    #: The ratio by the number of collectors.
    efficiency: float
    cores_busy: float
    #: Results a second that the cores allow at this processor time of a result.
    cores_bound: float
    #: The rate by the least of that and of so many times what one collector stores.
    of_possible: float


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """What the section found."""

    devices: int
    cores: int
    broker_settings: list[str]
    store_settings: list[str]
    rows: list[ScaleRow]


def measure_scale(occasion: FleetOccasion) -> Finding:
    """Run one, two and four collectors in turn, over and over.

    Raises:
        BuilderError: no broker or no PostgreSQL, or something was not stored.
    """
    rounds = _QUICK_ROUNDS if occasion.quick else _ROUNDS
    each = _QUICK_EACH if occasion.quick else _EACH
    kinds = list(itertools.product(range(rounds), SETTINGS, _COLLECTORS))
    runs: list[ScaleRun] = []
    with contextlib.closing(postgres.PostgresServer()) as server:
        for number, (_, setting, collectors) in enumerate(kinds, start=1):
            folder = occasion.scratch / f"{number}"
            folder.mkdir()
            runs.append(run_collectors(server, folder, collectors, setting, each * collectors))
            occasion.progress.update("running collectors", number, len(kinds))
    cores = psutil.cpu_count() or 1
    found = Scale(
        devices=_DEVICES,
        cores=cores,
        broker_settings=list(mosquitto.SETTINGS),
        store_settings=list(postgres.SETTINGS),
        rows=_rows(runs, cores),
    )
    simulated = (
        "simulated: the store is on this machine, and each collector sleeps before each commit "
        "while its transaction holds the batch's devices; they do not decide"
    )
    told = (
        f"the queue is filled before; {_DEVICES} devices, QoS 1, $share; Mosquitto: "
        f"{', '.join(mosquitto.SETTINGS)}; PostgreSQL: {', '.join(postgres.SETTINGS)}"
    )
    bound = (
        f"all processes share {cores} cores; the bound is what these store if nothing waits; "
        "possible is the least of that and of so many times one collector's rate"
    )
    tables = [_table(setting, found.rows) for setting in SETTINGS]
    return Finding(document=found, tables=tables, remarks=[simulated, told, bound])


def run_collectors(
    server: postgres.PostgresServer, folder: Path, collectors: int, setting: Setting, count: int
) -> ScaleRun:
    """Fill a queue for collectors on an empty store, and time `count` results once all is warm.

    Raises:
        BuilderError: something does not start, or what was published was not stored.
    """
    with contextlib.ExitStack() as stack:
        store_url = stack.enter_context(server.database())
        open_database(store_url, create=True).close()
        broker_url = stack.enter_context(mosquitto.mosquitto(folder))
        children = [
            stack.enter_context(_collecting(broker_url, store_url, setting, folder))
            for _ in range(collectors)
        ]
        watch = stack.enter_context(psycopg.connect(store_url, autocommit=True))
        publisher = stack.enter_context(contextlib.closing(ResultPublisher(broker_url, _DEVICES)))
        publisher.open()
        # By then every collector has met every device.
        warm = (collectors + 1) * _DEVICES
        publisher.publish(warm + count + _BEHIND * setting.batch * collectors)
        publisher.finish(_PATIENCE_S)
        began = _await_stored(watch, warm)
        began_at, cpu_s = time.monotonic(), _cpu_s(server)
        ended = _await_stored(watch, min(began + count, publisher.published))
        seconds, cpu_s = time.monotonic() - began_at, _cpu_s(server) - cpu_s
        _await_stored(watch, publisher.published)
        done = [_ended(child) for child in children]
        rows = watch.execute("SELECT count(*) FROM results").fetchone()
    if rows is None or rows[0] != publisher.published:
        message = f"{publisher.published} results were published, and {rows} are stored"
        raise BuilderError(message)
    return ScaleRun(
        collectors=collectors,
        setting=setting,
        results=ended - began,
        seconds=seconds,
        cpu_s=cpu_s,
        mean_batch=sum(one.results for one in done) / sum(one.batches for one in done),
    )


def _await_stored(watch: psycopg.Connection, wanted: int) -> int:
    """Wait until so many results are stored; gives how many are."""
    deadline = time.monotonic() + _PATIENCE_S
    while (stored := _stored(watch)) < wanted:
        if time.monotonic() > deadline:
            message = f"only {stored} of {wanted} results were stored within {_PATIENCE_S:g} s"
            raise BuilderError(message)
        time.sleep(_LOOK_S)
    return stored


def _stored(watch: psycopg.Connection) -> int:
    """How many results are stored, by the highest number: counting would take the store's time."""
    row = watch.execute("SELECT max(id) FROM results").fetchone()
    return int(row[0] or 0) if row else 0


@contextlib.contextmanager
def _collecting(
    broker_url: str, store_url: str, setting: Setting, folder: Path
) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "-m", waiting_collector.__name__]
    words += [broker_url, store_url, str(setting.batch), str(setting.wait_s)]
    log = folder / "collectors.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        await_ready(process, log)
        yield process
    finally:
        process.kill()
        process.wait(_PATIENCE_S)


def _ended(process: subprocess.Popen[str]) -> Collected:
    """Let a collector end, and take what it says of itself."""
    process.terminate()
    said, _ = process.communicate(timeout=_PATIENCE_S)
    return msgspec.json.decode(said, type=Collected)


def _cpu_s(server: postgres.PostgresServer) -> float:
    """Processor time so far of everything that takes part: this process, and those below it."""
    own = psutil.Process()
    every = {one.pid: one for one in (own, *own.children(recursive=True), *server.family())}
    total = 0.0
    for one in every.values():
        # PostgreSQL's helpers come and go.
        with contextlib.suppress(psutil.NoSuchProcess):
            times = one.cpu_times()
            total += times.user + times.system
    return total


def _rows(runs: list[ScaleRun], cores: int) -> list[ScaleRow]:
    by_kind = {
        (setting, collectors): [
            one for one in runs if (one.setting, one.collectors) == (setting, collectors)
        ]
        for setting, collectors in itertools.product(SETTINGS, _COLLECTORS)
    }
    rates = {key: statistics.median(one.rate for one in mine) for key, mine in by_kind.items()}
    rows = []
    for (setting, collectors), mine in by_kind.items():
        rate, alone = rates[setting, collectors], rates[setting, 1]
        bound = statistics.median(cores * one.results / one.cpu_s for one in mine)
        row = ScaleRow(
            collectors=collectors,
            setting=setting,
            runs=mine,
            rate=rate,
            ratio=rate / alone,
            efficiency=rate / alone / collectors,
            cores_busy=statistics.median(one.cpu_s / one.seconds for one in mine),
            cores_bound=bound,
            of_possible=rate / min(bound, collectors * alone),
        )
        rows.append(row)
    return rows


def _table(setting: Setting, rows: list[ScaleRow]) -> Table:
    table = measured_table(
        f"Collectors with {setting.wait_s * 1000:g} ms of simulated commit wait, batches of "
        f"{setting.batch} at most",
        (
            "results/s",
            "lowest",
            "highest",
            "ratio",
            "efficiency",
            "batch",
            "cores busy",
            "bound/s",
            "of possible",
        ),
    )
    for one in rows:
        if one.setting == setting:
            rates = [run.rate for run in one.runs]
            table.add_row(
                f"{one.collectors} collector{'' if one.collectors == 1 else 's'}",
                f"{one.rate:,.0f}",
                f"{min(rates):,.0f}",
                f"{max(rates):,.0f}",
                f"{one.ratio:.2f}",
                f"{one.efficiency:.0%}",
                f"{statistics.median(run.mean_batch for run in one.runs):.1f}",
                f"{one.cores_busy:.2f}",
                f"{one.cores_bound:,.0f}",
                f"{one.of_possible:.0%}",
            )
    return table
