"""Collectors that share a stream of a NATS cluster: servers and collectors die, nothing is lost."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from benchmarks.lib.nats_cluster import NatsCluster, nats_cluster
from fleet.jetstream.names import STREAM
from fleet.jetstream.stream import ensure_consumer
from fleet.store.database import open_database
from fleet.store.schema import results
from support.collectors import ServeProcess, share_of
from support.devices import DeviceClient, eventually
from support.faults.table import Row
from support.measurements import make_result
from support.outboxes import Outboxes
from support.stores import ON_POSTGRESQL

pytestmark = ON_POSTGRESQL

StartServe = Callable[..., ServeProcess]
MakeRow = Callable[..., Row]
DEVICES, EACH = 20, 100


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """Three servers; a test that kills one starts it again."""
    with nats_cluster(tmp_path_factory.mktemp("nats")) as three:
        yield three


def stored_run_ids(store_url: str) -> list[str]:
    with (
        contextlib.closing(open_database(store_url, create=False)) as database,
        database.reading() as connection,
    ):
        return sorted(connection.scalars(sa.select(results.c.run_id)))


def serve_words(cluster: NatsCluster, number: int) -> tuple[str, ...]:
    """A collector whose gateway is that of one server, and whose stream is of them all."""
    broker = cluster.servers[number].mqtt_url
    return ("--broker", broker, "--jetstream", cluster.urls, "-v")


def test_results_are_spread_over_the_collectors_and_stored_once(
    start_serve: StartServe, cluster: NatsCluster, store_url: str
) -> None:
    collectors = [start_serve(*serve_words(cluster, number)) for number in range(2)]
    with contextlib.closing(
        Outboxes(cluster.servers[0].mqtt_url, devices=DEVICES, each=EACH, name="spread")
    ) as outboxes:
        outboxes.send()
        assert outboxes.deliver(within_s=60)
        assert stored_run_ids(store_url) == outboxes.run_ids
    assert eventually(lambda: cluster.stream(STREAM).state.messages == 0)
    assert all(collector.stop() == 0 for collector in collectors)
    shares = [share_of(collector) for collector in collectors]
    assert sum(shares) == DEVICES * EACH
    assert min(shares) > 0


def test_a_killed_server_and_a_killed_collector_lose_nothing(
    start_serve: StartServe, cluster: NatsCluster, store_url: str, fault: MakeRow
) -> None:
    """The server leads the stream, and dies with one collector while results come in."""
    row = fault(
        "SIGKILL of one of three NATS servers, and of a collector",
        holds="published, stored and acknowledged are equal",
    )
    cluster.run(lambda client: ensure_consumer(client.jetstream()))
    victim = cluster.leader_of(STREAM)
    alive = [number for number, one in enumerate(cluster.servers) if one is not victim]
    try:
        collectors = [
            start_serve(*serve_words(cluster, number))
            for number in (alive[0], alive[1], cluster.servers.index(victim))
        ]
        with contextlib.closing(
            Outboxes(cluster.servers[alive[0]].mqtt_url, devices=DEVICES, each=EACH, name="killed")
        ) as outboxes:
            outboxes.send(up_to=EACH // 2)
            victim.kill()
            outboxes.send()
            collectors[0].stop(signal.SIGKILL)
            assert outboxes.deliver(within_s=120)
            assert stored_run_ids(store_url) == outboxes.run_ids
            row.tried()
            row.came_to(f"{outboxes.acked} each")
        assert eventually(lambda: cluster.stream(STREAM).state.messages == 0)
        assert all(one.process.poll() is None for one in collectors[1:])
    finally:
        cluster.start(victim)


def test_what_arrives_while_no_collector_is_there_waits_in_the_stream(
    start_serve: StartServe, cluster: NatsCluster
) -> None:
    cluster.run(lambda client: ensure_consumer(client.jetstream()))
    with contextlib.closing(DeviceClient(cluster.servers[1].mqtt_url, "lab", "box")) as device:
        device.send(make_result(1))
        assert eventually(lambda: cluster.stream(STREAM).state.messages == 1)
        start_serve(*serve_words(cluster, 2))
        # Sent once: the device did not repeat it.
        assert eventually(lambda: device.is_acked(1))
    assert eventually(lambda: cluster.stream(STREAM).state.messages == 0)
