"""The fleet's benchmark drains real queues, and counts what it says."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest

from benchmarks.lib.fleet_cluster import ClusterPlan, run_cluster
from benchmarks.lib.fleet_drain import drain_by_collector, drain_plainly
from benchmarks.lib.fleet_freshness import watch_drain
from benchmarks.lib.fleet_scale import SETTINGS, run_collectors
from benchmarks.lib.fleet_sizing import BROKERS, SizingLoad, run_load
from benchmarks.lib.postgres import PostgresServer
from benchmarks.lib.result_stream import result_of, results
from contract.messages import Result, decode_message

DEVICES, EACH = 20, 5


@pytest.fixture
def stream() -> list[tuple[str, bytes]]:
    """Results of a few devices."""
    return list(results(DEVICES, EACH))


def test_the_stream_is_of_the_contract_with_places_in_order(
    stream: list[tuple[str, bytes]],
) -> None:
    places: dict[str, list[int]] = {}
    for topic, payload in stream:
        _, message = decode_message(topic, payload)
        assert isinstance(message, Result)
        places.setdefault(message.device, []).append(message.seq)
    assert list(places.values()) == [list(range(1, EACH + 1))] * DEVICES


@pytest.mark.usefixtures("mosquitto_program")
def test_either_drains_a_queue_and_the_collector_has_stored_all_of_it(
    stream: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    for drain in (drain_plainly, drain_by_collector):
        folder = tmp_path / drain.__name__
        folder.mkdir()
        found = drain(folder, stream)
        assert found.seconds > 0
    with contextlib.closing(sqlite3.connect(folder / "fleet.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM results").fetchone() == (len(stream),)


@pytest.mark.usefixtures("mosquitto_program")
def test_collectors_that_wait_store_all_that_is_published_in_small_batches(
    tmp_path: Path,
) -> None:
    with contextlib.closing(PostgresServer()) as server:
        found = run_collectors(server, tmp_path, collectors=2, setting=SETTINGS[1], count=200)
    assert found.results >= 200
    assert found.cpu_s > 0
    assert 0 < found.mean_batch <= SETTINGS[1].batch


@pytest.mark.usefixtures("mosquitto_program")
def test_every_result_of_the_watched_device_shows_in_an_answer_after_its_receipt(
    stream: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    own = [result_of("watched", number) for number in (2, 3)]
    found = watch_drain(tmp_path, [own[0], *stream, own[1]])
    assert found.messages == len(stream) + len(own)
    assert len(found.lags_s) == len(own)
    assert all(lag_s > 0 for lag_s in found.lags_s)
    assert len(found.asking_s) >= 2


def test_a_hundred_agents_over_a_cluster_lose_nothing_by_a_dead_leader_and_a_dead_collector(
    tmp_path: Path,
) -> None:
    plan = ClusterPlan(devices=100, results=300, rate=20.0)
    with contextlib.closing(PostgresServer()) as server:
        found = run_cluster(server, tmp_path, plan)
    assert found.published == found.stored == found.acknowledged == plan.results
    # Of collectors alone: devices need none.
    assert found.consumers < plan.devices / 2


@pytest.mark.usefixtures("mosquitto_program")
@pytest.mark.parametrize("broker", list(BROKERS))
def test_a_load_goes_through_a_storm_on_each_broker(tmp_path: Path, broker: str) -> None:
    load = SizingLoad(devices=9, rate=30, seconds=2)
    with BROKERS[broker](tmp_path) as running:
        found = run_load(broker, running, load, tmp_path)
    assert found.made == found.acknowledged > 0
    assert found.outstanding == 0
    assert found.memory_mib > 0
    assert found.cores_busy > 0
    assert "--storm 1 " in found.command
