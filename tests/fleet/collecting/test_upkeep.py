"""Old samples are rolled up while a collector runs."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from contract.messages import encode_message
from fleet.collecting.intake import Intake
from fleet.collecting.upkeep import upkeep
from fleet.errors import StoreDamagedError
from fleet.mqtt.delivery import Delivery
from fleet.store.database import Database, open_database
from fleet.store.schema import rollups, samples
from support.collectors import ServeProcess
from support.devices import PATIENCE_S, eventually
from support.measurements import make_result, make_run


def fill(database: Database) -> None:
    Intake(database).take(
        [
            Delivery(
                topic="edgewright/v1/lab/box/result",
                payload=encode_message(
                    make_result(seq, make_run(run_id=f"run-{seq}", samples_ms=[1.0, 2.0]))
                ),
                retained=False,
                received_at=50.0,
            )
            for seq in range(1, 601)
        ],
        now=50.0,
    )


def counts(database: Database) -> tuple[int, int]:
    with database.reading() as connection:
        raw, rolled = (
            connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in (samples, rollups)
        )
    return raw, rolled


def test_it_does_a_round_and_ends_when_told(database: Database) -> None:
    fill(database)
    with upkeep(database, keep_samples_days=1, on_damage=pytest.fail, clock=lambda: 200_000.0):
        assert eventually(lambda: counts(database) == (0, 600))


def test_what_is_young_stays(database: Database) -> None:
    fill(database)
    with upkeep(database, keep_samples_days=1, on_damage=pytest.fail, clock=lambda: 60_000.0):
        pass
    assert counts(database) == (600, 0)


def test_a_damaged_store_is_told_at_once_and_raised_at_the_end(database: Database) -> None:
    fill(database)
    assert database.path is not None
    with contextlib.closing(sqlite3.connect(database.path)) as other:
        other.execute("ALTER TABLE rollups RENAME TO away")
    told = threading.Event()
    with (
        pytest.raises(StoreDamagedError, match="a part of the store is gone"),
        upkeep(database, keep_samples_days=1, on_damage=told.set, clock=lambda: 200_000.0),
    ):
        assert told.wait(PATIENCE_S)


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
def test_serve_does_it_when_asked(store_url: str, start_serve: Callable[..., ServeProcess]) -> None:
    database = open_database(store_url, create=True)
    fill(database)
    serve = start_serve("--listen", "127.0.0.1:0", "--keep-samples", "30")
    assert eventually(lambda: counts(database) == (0, 600))
    assert serve.stop() == 0
    assert "samples rolled up runs=600" in serve.log.read_text()
    database.close()
