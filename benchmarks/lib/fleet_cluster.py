"""The section `cluster`: simulated agents over three NATS servers; one and a collector die."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psycopg
from rich.table import Table

from benchmarks.lib import postgres
from benchmarks.lib.findings import Finding
from benchmarks.lib.fleet_occasion import FleetOccasion
from benchmarks.lib.fleet_programs import report_of, serving, simulating
from benchmarks.lib.nats_cluster import NatsCluster, NatsServer, nats_cluster
from benchmarks.lib.tables import measured_table
from builder.errors import BuilderError
from fleet.jetstream.names import STREAM
from fleet.store.database import open_database

#: Where the gateway has a consumer for each subscription at QoS 1.
_GATEWAY_STREAM = "$MQTT_msgs"
_PATIENCE_S = 600.0
_LOOK_S = 0.2
#: How long the server that was killed stays away.
_AWAY_S = 5.0


class ClusterPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How many devices there are, and what they send."""

    devices: int
    results: int
    #: Results a second of all devices together.
    rate: float


_FULL = ClusterPlan(devices=1000, results=3000, rate=50.0)
_QUICK = ClusterPlan(devices=99, results=300, rate=20.0)


class ClusterRun(msgspec.Struct, frozen=True, kw_only=True):
    """What the section found."""

    plan: ClusterPlan
    published: int
    stored: int
    acknowledged: int
    #: Connections that were made, and those that broke.
    connected: int
    broken: int
    #: Of the gateway's stream, at the end, with every device connected.
    consumers: int
    #: From the first sending to the acknowledgement: the highest of the simulations.
    ack_p50_ms: float
    ack_p95_ms: float
    ack_max_ms: float


def measure_cluster(occasion: FleetOccasion) -> Finding:
    """Kill the stream's leader and a collector in the middle; the leader comes back.

    Raises:
        BuilderError: something does not start, or what was published is not stored or not
            acknowledged.
    """
    plan = _QUICK if occasion.quick else _FULL
    with contextlib.closing(postgres.PostgresServer()) as server:
        found = run_cluster(
            server,
            occasion.scratch,
            plan,
            on_stored=lambda stored: occasion.progress.update("storing", stored, plan.results),
        )
    remark = (
        "servers, collectors, PostgreSQL and simulated devices share this machine; the leader of "
        f"the stream was killed with half of the results stored, and came back after {_AWAY_S:g} s"
    )
    return Finding(document=found, tables=[_table(found)], remarks=[remark])


def run_cluster(
    server: postgres.PostgresServer,
    folder: Path,
    plan: ClusterPlan,
    *,
    on_stored: Callable[[int], None] = lambda _stored: None,
) -> ClusterRun:
    """Let devices send over three servers to two collectors, and kill one of each meanwhile.

    Raises:
        BuilderError: something does not start, or what was published is not stored or not
            acknowledged.
    """
    with contextlib.ExitStack() as stack:
        store_url = stack.enter_context(server.database())
        open_database(store_url, create=True).close()
        cluster = stack.enter_context(nats_cluster(folder))
        watch = stack.enter_context(psycopg.connect(store_url, autocommit=True))
        first = stack.enter_context(_collecting(cluster, cluster.servers[0], store_url, folder))
        leader = cluster.leader_of(STREAM)
        others = [one for one in cluster.servers if one is not leader]
        for one in others:
            stack.enter_context(_collecting(cluster, one, store_url, folder))
        simulations = [
            stack.enter_context(_simulating(one, number, plan, folder))
            for number, one in enumerate(cluster.servers)
        ]
        _await_half(watch, plan, on_stored)
        leader.kill()
        first.send_signal(signal.SIGKILL)
        time.sleep(_AWAY_S)
        cluster.start(leader)
        reports = [report_of(one, lambda: on_stored(_stored(watch))) for one in simulations]
        consumers = cluster.stream(_GATEWAY_STREAM).state.consumer_count
        stored = _stored(watch)
    published = sum(one.published for one in reports)
    acknowledged = sum(one.acknowledged for one in reports)
    if not published == stored == acknowledged == plan.results:
        message = (
            f"{published} of {plan.results} results were published, {stored} are stored, "
            f"{acknowledged} are acknowledged"
        )
        raise BuilderError(message)
    return ClusterRun(
        plan=plan,
        published=published,
        stored=stored,
        acknowledged=acknowledged,
        connected=sum(one.connected for one in reports),
        broken=sum(one.broken for one in reports),
        consumers=consumers,
        ack_p50_ms=max(one.ack_p50_ms or 0.0 for one in reports),
        ack_p95_ms=max(one.ack_p95_ms or 0.0 for one in reports),
        ack_max_ms=max(one.ack_max_ms or 0.0 for one in reports),
    )


def _collecting(
    cluster: NatsCluster, gateway: NatsServer, store_url: str, folder: Path
) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    words = ["--broker", gateway.mqtt_url, "--jetstream", cluster.urls, "--db", store_url]
    return serving(words, folder / f"collector-{gateway.name}.log")


def _simulating(
    gateway: NatsServer, number: int, plan: ClusterPlan, folder: Path
) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """A third of the devices, connected to one server."""
    devices, results = (_share(whole, number) for whole in (plan.devices, plan.results))
    words = ["--broker", gateway.mqtt_url, "--site", f"site-{number}"]
    words += ["--devices", str(devices), "--connections", str(devices)]
    words += ["--results", str(results), "--rate", str(plan.rate / 3), "--seed", str(number)]
    words += ["--grace", str(_PATIENCE_S / 2)]
    return simulating(words, folder / f"simulation-{number}.log")


def _share(whole: int, number: int) -> int:
    """The part of one of three."""
    return whole // 3 + (number < whole % 3)


def _await_half(
    watch: psycopg.Connection, plan: ClusterPlan, on_stored: Callable[[int], None]
) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while (stored := _stored(watch)) < plan.results // 2:
        if time.monotonic() > deadline:
            message = f"only {stored} of {plan.results} results were stored"
            raise BuilderError(message)
        on_stored(stored)
        time.sleep(_LOOK_S)


def _stored(watch: psycopg.Connection) -> int:
    row = watch.execute("SELECT count(*) FROM results").fetchone()
    return int(row[0]) if row else 0


def _table(found: ClusterRun) -> Table:
    table = measured_table(
        "Simulated agents over three NATS servers; the stream's leader and a collector are killed",
        ("results", "rate", "published", "stored", "acknowledged", "p50 s", "p95 s", "consumers"),
    )
    table.add_row(
        f"{found.plan.devices:,} agents",
        f"{found.plan.results:,}",
        f"{found.plan.rate:g}/s",
        f"{found.published:,}",
        f"{found.stored:,}",
        f"{found.acknowledged:,}",
        f"{found.ack_p50_ms / 1000:.1f}",
        f"{found.ack_p95_ms / 1000:.1f}",
        f"{found.consumers:,}",
    )
    return table
