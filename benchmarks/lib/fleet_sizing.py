"""The section `sizing`: how many simulated devices each kind of broker carries, through a storm."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil
from rich.table import Table

from benchmarks.lib.findings import Finding
from benchmarks.lib.fleet_occasion import FleetOccasion
from benchmarks.lib.fleet_programs import report_of, serving, simulating
from benchmarks.lib.mosquitto import mosquitto
from benchmarks.lib.nats_cluster import nats_cluster
from benchmarks.lib.ports import free_port
from benchmarks.lib.tables import measured_table

_GRACE_S = 60.0
_MIB = 2**20


class SizingLoad(msgspec.Struct, frozen=True, kw_only=True):
    """How many devices there are, and what they send."""

    devices: int
    #: Results a second of all devices together.
    rate: float
    #: How long results are made; the storm comes in the middle.
    seconds: float = 20.0


_LOADS = (
    SizingLoad(devices=300, rate=30),
    SizingLoad(devices=1000, rate=60),
    SizingLoad(devices=2000, rate=150),
    SizingLoad(devices=5000, rate=300),
)
_QUICK_LOADS = (SizingLoad(devices=60, rate=30),)


class SizingRow(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one load on one broker."""

    broker: str
    load: SizingLoad
    #: What to run against it, on each of as many servers.
    command: str
    #: Results made a second, of the load's rate.
    achieved_rate: float
    made: int
    acknowledged: int
    outstanding: int
    broken: int
    #: From the first sending to the acknowledgement; the highest of several simulations.
    ack_p50_ms: float
    ack_p95_ms: float
    ack_max_ms: float
    #: Broker and collector: the most that both together held, and cores busy on average.
    memory_mib: float
    cores_busy: float


class Sizing(msgspec.Struct, frozen=True, kw_only=True):
    """What the section found."""

    rows: list[SizingRow]


@dataclass(frozen=True, kw_only=True)
class Running:
    """A broker with a collector: where devices connect, and whose memory and time count."""

    urls: list[str]
    processes: list[psutil.Process]


@contextlib.contextmanager
def _embedded(folder: Path, scheme: str = "mqtt") -> Iterator[Running]:
    url = f"{scheme}://127.0.0.1:{free_port()}"
    words = ["--listen", url, "--db", f"sqlite:///{folder / 'fleet.db'}"]
    with serving([*words, *_authority(folder)], folder / "serve.log") as serve:
        yield Running(urls=[url], processes=[psutil.Process(serve.pid)])


def _embedded_tls(folder: Path) -> contextlib.AbstractContextManager[Running]:
    return _embedded(folder, "mqtts")


@contextlib.contextmanager
def _mosquitto(folder: Path) -> Iterator[Running]:
    before = _children()
    with mosquitto(folder) as url:
        (broker,) = _children() - before
        words = ["--broker", url, "--db", f"sqlite:///{folder / 'fleet.db'}"]
        with serving(words, folder / "serve.log") as serve:
            yield Running(urls=[url], processes=[broker, psutil.Process(serve.pid)])


@contextlib.contextmanager
def _nats(folder: Path) -> Iterator[Running]:
    before = _children()
    with nats_cluster(folder) as cluster:
        brokers = _children() - before
        words = ["--broker", cluster.servers[0].mqtt_url, "--jetstream", cluster.urls]
        words += ["--db", f"sqlite:///{folder / 'fleet.db'}"]
        with serving(words, folder / "serve.log") as serve:
            urls = [one.mqtt_url for one in cluster.servers]
            yield Running(urls=urls, processes=[*brokers, psutil.Process(serve.pid)])


def _authority(folder: Path) -> list[str]:
    """Where accounts are, for brokers that ask for them; each device has one."""
    return ["--authority", str(folder / "authority")]


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children())


BROKERS: dict[str, Callable[[Path], contextlib.AbstractContextManager[Running]]] = {
    "embedded": _embedded,
    "embedded, TLS and accounts": _embedded_tls,
    "Mosquitto": _mosquitto,
    "NATS of three": _nats,
}


def measure_sizing(occasion: FleetOccasion) -> Finding:
    """Run each load against each kind of broker, each time on an empty store.

    Raises:
        BuilderError: a broker is not installed, or something does not start.
    """
    loads = _QUICK_LOADS if occasion.quick else _LOADS
    kinds = [(name, load) for name in BROKERS for load in loads]
    rows = []
    for number, (name, load) in enumerate(kinds, start=1):
        folder = occasion.scratch / str(number)
        folder.mkdir()
        with BROKERS[name](folder) as running:
            rows.append(run_load(name, running, load, folder))
        occasion.progress.update("simulating", number, len(kinds))
    remark = (
        "broker, collector on SQLite and simulated devices share this machine; each device has a "
        f"connection, all of which break {loads[0].seconds / 2:g} s after the start and come back "
        f"at once; results are made for {loads[0].seconds:g} s, and the last may take "
        f"{_GRACE_S:g} s. 'ack': "
        "from first sending to acknowledgement; cores and MiB: broker and collector together"
    )
    return Finding(document=Sizing(rows=rows), tables=[_table(rows)], remarks=[remark])


def run_load(broker: str, running: Running, load: SizingLoad, folder: Path) -> SizingRow:
    """Let devices send, spread over the servers of a broker."""
    peak = _Peak(running.processes)
    servers = len(running.urls)
    access = _authority(folder)
    words = _words(load, servers)
    with contextlib.ExitStack() as stack:
        simulations: list[subprocess.Popen[str]] = []
        began_at, began_cpu_s = time.monotonic(), peak.cpu_s()
        for number, url in enumerate(running.urls, start=1):
            site = ["--site", f"site-{number}", "--seed", str(number), "--broker", url]
            log = folder / f"simulation-{number}.log"
            simulations.append(stack.enter_context(simulating([*words, *site, *access], log)))
        reports = [report_of(one, peak.look) for one in simulations]
        cores = (peak.cpu_s() - began_cpu_s) / (time.monotonic() - began_at)
    return SizingRow(
        broker=broker,
        load=load,
        command=" ".join(["edgewright-fleet simulate", *words]),
        achieved_rate=sum(one.achieved_rate for one in reports),
        made=sum(one.made for one in reports),
        acknowledged=sum(one.acknowledged for one in reports),
        outstanding=sum(one.outstanding for one in reports),
        broken=sum(one.broken for one in reports),
        ack_p50_ms=max(one.ack_p50_ms or 0.0 for one in reports),
        ack_p95_ms=max(one.ack_p95_ms or 0.0 for one in reports),
        ack_max_ms=max(one.ack_max_ms or 0.0 for one in reports),
        memory_mib=peak.bytes / _MIB,
        cores_busy=cores,
    )


def _words(load: SizingLoad, servers: int) -> list[str]:
    devices = str(-(-load.devices // servers))
    words = ["--devices", devices, "--connections", devices]
    words += ["--rate", f"{load.rate / servers:g}", "--duration", f"{load.seconds:g}"]
    return [*words, "--storm", f"{load.seconds / 2:g}", "--grace", f"{_GRACE_S:g}"]


class _Peak:
    """The most memory that processes with their children held at once, and their time so far."""

    def __init__(self, processes: list[psutil.Process]) -> None:
        self._processes = processes
        self.bytes = 0

    def look(self) -> None:
        """Look once more."""
        held = 0
        for one in self._family():
            # It may just have ended.
            with contextlib.suppress(psutil.NoSuchProcess):
                held += one.memory_info().rss
        self.bytes = max(self.bytes, held)

    def cpu_s(self) -> float:
        """Processor time so far."""
        times = [one.cpu_times() for one in self._family()]
        return float(sum(one.user + one.system for one in times))

    def _family(self) -> list[psutil.Process]:
        return [
            one
            for process in self._processes
            for one in (process, *process.children(recursive=True))
        ]


def _table(rows: list[SizingRow]) -> Table:
    columns = (
        "devices", "asked/s", "made/s", "acked", "left", "broken", "ack p50 s", "ack p95 s", "most",
        "cores", "MiB",
    )  # fmt: skip
    table = measured_table("Simulated devices through one reconnect storm", columns)
    for row in rows:
        table.add_row(
            row.broker,
            f"{row.load.devices:,}",
            f"{row.load.rate:g}",
            f"{row.achieved_rate:.0f}",
            f"{row.acknowledged:,}",
            f"{row.outstanding:,}",
            f"{row.broken:,}",
            f"{row.ack_p50_ms / 1000:.2f}",
            f"{row.ack_p95_ms / 1000:.2f}",
            f"{row.ack_max_ms / 1000:.1f}",
            f"{row.cores_busy:.2f}",
            f"{row.memory_mib:,.0f}",
        )
    return table
