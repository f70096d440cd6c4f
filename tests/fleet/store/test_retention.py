"""What is kept of old samples and of refused messages, beside a store that is in use."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator

import sqlalchemy as sa

from contract.messages import encode_message
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.database import Database, open_database
from fleet.store.distribution import Kept, distributions_of
from fleet.store.retention import Step, clear_quarantine, roll_up_samples
from fleet.store.roster import device_ids
from fleet.store.schema import quarantine, results, rollups, samples
from fleet.store.space import compact, space_of
from support.measurements import make_result, make_run
from support.stores import ON_BOTH, ON_POSTGRESQL

SAMPLES = [10.0 + number % 7 for number in range(1000)]
LATER = 1_000.0


def take(database: Database, *payloads: bytes, at: float) -> None:
    topic = "edgewright/v1/lab/box/result"
    Intake(database).take(
        [
            Delivery(topic=topic, payload=payload, retained=False, received_at=at)
            for payload in payloads
        ],
        now=at,
    )


def run(seq: int) -> bytes:
    return encode_message(make_result(seq, make_run(run_id=f"run-{seq}", samples_ms=SAMPLES)))


def kept(database: Database) -> dict[int, Kept]:
    with database.reading() as connection:
        (device_id,) = device_ids(connection)
        known = distributions_of(connection, device_id)
        assert {one.distribution.p95_ms for one in known.values()} == {16.0}
        return {seq: one.kept for (_, seq), one in known.items()}


def count(database: Database, table: sa.Table) -> int:
    with database.reading() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


def total(steps: Iterator[Step]) -> tuple[int, int]:
    done = list(steps)
    return sum(step.count for step in done), sum(step.bytes for step in done)


@ON_BOTH
def test_old_samples_become_a_rollup_that_says_the_same(database: Database) -> None:
    take(database, run(1), run(2), at=10.0)
    take(database, run(3), at=500.0)
    assert kept(database) == dict.fromkeys((1, 2, 3), Kept.RAW)
    with database.reading() as connection:
        before = distributions_of(connection, 1)
        runs = connection.execute(sa.select(results).order_by(results.c.id)).all()
    assert total(roll_up_samples(database, before=100.0, now=LATER)) == (2, 16_000)
    assert kept(database) == {1: Kept.ROLLED_UP, 2: Kept.ROLLED_UP, 3: Kept.RAW}
    assert count(database, samples) == 1
    with database.reading() as connection:
        after = distributions_of(connection, 1)
        assert connection.execute(sa.select(results).order_by(results.c.id)).all() == runs
    assert [one.distribution for one in after.values()] == [
        one.distribution for one in before.values()
    ]
    assert total(roll_up_samples(database, before=100.0, now=LATER)) == (0, 0)


def test_a_dry_run_counts_and_changes_nothing(database: Database) -> None:
    take(database, run(1), run(2), b"not json", at=10.0)
    assert total(roll_up_samples(database, before=100.0, now=LATER, dry_run=True)) == (2, 16_000)
    assert total(clear_quarantine(database, before=100.0, dry_run=True)) == (1, 8)
    assert (count(database, samples), count(database, rollups)) == (2, 0)
    assert count(database, quarantine) == 1


def test_a_repeated_message_does_not_bring_its_samples_back(database: Database) -> None:
    take(database, run(1), at=10.0)
    assert total(roll_up_samples(database, before=100.0, now=LATER)) == (1, 8_000)
    take(database, run(1), at=LATER)
    assert kept(database) == {1: Kept.ROLLED_UP}


@ON_BOTH
def test_refused_messages_go_by_age_and_by_number(database: Database) -> None:
    for number in range(6):
        take(database, b"refused %d" % number, at=100.0 * number)
    assert total(clear_quarantine(database, before=150.0)) == (2, 18)
    assert total(clear_quarantine(database, keep=3)) == (1, 9)
    with database.reading() as connection:
        left = connection.scalars(sa.select(quarantine.c.payload).order_by(quarantine.c.id))
        assert [bytes(one) for one in left] == [b"refused 3", b"refused 4", b"refused 5"]


@ON_BOTH
def test_a_collector_stores_on_between_the_batches(database: Database) -> None:
    """Every batch ends its transaction: whoever waits for the store waits for one batch."""
    take(database, *map(run, range(1, 1201)), at=10.0)
    stored = 1200
    for _ in roll_up_samples(database, before=100.0, now=LATER):
        writer = threading.Thread(
            target=take, args=(database, run(stored + 1)), kwargs={"at": LATER}
        )
        writer.start()
        writer.join(120)
        assert not writer.is_alive()
        stored += 1
    assert stored == 1203
    assert (count(database, rollups), count(database, results)) == (1200, stored)


def test_a_file_gets_smaller_as_its_samples_go(database: Database) -> None:
    take(database, *map(run, range(1, 301)), at=10.0)
    before = space_of(database)
    rolled = total(roll_up_samples(database, before=100.0, now=LATER))[1]
    after = space_of(database)
    assert after.free_bytes == 0
    assert before.total_bytes - after.total_bytes > 0.8 * rolled


def test_a_file_of_an_earlier_edgewright_gets_smaller_once_it_was_compacted(
    store_url: str,
) -> None:
    with contextlib.closing(sqlite3.connect(store_url.removeprefix("sqlite:///"))) as made:
        made.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    with contextlib.closing(open_database(store_url, create=True)) as database:
        for first in (1, 301):
            take(database, *map(run, range(first, first + 300)), at=10.0)
            before = space_of(database)
            rolled = total(roll_up_samples(database, before=100.0, now=LATER))[1]
            if first == 1:
                assert (space_of(database).free_bytes or 0) > 0.8 * rolled
                compact(database)
            assert before.total_bytes - space_of(database).total_bytes > 0.8 * rolled


@ON_POSTGRESQL
def test_a_database_server_says_its_size_and_is_compacted(database: Database) -> None:
    take(database, run(1), at=10.0)
    compact(database)
    told = space_of(database)
    assert told.total_bytes > 1_000_000
    assert told.free_bytes is None
