"""What Prometheus reads of the store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fleet.store.database import Database
from support.api import ApiServer
from support.filling import fill, refuse_one
from support.measurements import make_run
from support.postgres import PostgresServer
from support.stores import ON_BOTH, ON_POSTGRESQL


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server of this module's own, for a test kills it."""
    with contextlib.closing(PostgresServer()) as server:
        yield server


def figures(api: ApiServer) -> dict[str, float]:
    """Value of each sample, by its name and the values of its labels."""
    text = api.client.get("/metrics").text
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@ON_BOTH
def test_health_tells_strangers_nothing_of_the_store(api: ApiServer) -> None:
    answer = api.client.get("/api/v1/health")
    assert set(answer.json()) == {"version"}
    assert api.database.store_id()[:12] not in answer.text


def test_the_store_is_told_in_figures(api: ApiServer, database: Database) -> None:
    fill(database, "whole", make_run(), make_run("net-2"))
    fill(database, "gap", make_run(p50_ms=900.0), first_seq=4)
    fill(database, "bare")
    refuse_one(database)
    refuse_one(database)
    api.get("/recommendations")
    told = figures(api)
    expected = {
        "edgewright_store_up": 1,
        "edgewright_store_results_total": 3,
        "edgewright_devices unknown": 3,
        "edgewright_stale_devices": 3,
        "edgewright_stale_after_seconds": 3600,
        "edgewright_incomplete_devices": 1,
        "edgewright_missing_results": 3,
        "edgewright_quarantined_messages": 1,
        "edgewright_quarantined_deliveries": 2,
        "edgewright_recommendations most-accurate chosen": 1,
        "edgewright_recommendations most-accurate nearest-miss": 1,
        "edgewright_recommendations most-accurate no-data": 1,
        "edgewright_last_result_timestamp_seconds": 1_700_000_000,
        "edgewright_event_listeners": 0,
    }
    assert {name: told[name] for name in expected} == expected


def test_whoever_asks_for_openmetrics_gets_it(api: ApiServer) -> None:
    answer = api.client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


@ON_POSTGRESQL
def test_while_the_store_is_away_it_is_said_and_then_all_is_as_before(
    api: ApiServer, database: Database, postgres: PostgresServer
) -> None:
    fill(database, "box", make_run())
    assert len(api.get("/devices")["items"]) == 1
    postgres.kill()
    try:
        answer = api.client.get("/api/v1/devices")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json()["title"] == "Service Unavailable"
        assert api.client.get("/api/v1/health").status_code == 503
        assert figures(api)["edgewright_store_up"] == 0
    finally:
        postgres.start()
    assert len(api.get("/devices")["items"]) == 1
    assert figures(api)["edgewright_store_up"] == 1
