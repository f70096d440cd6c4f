"""Several collectors on one store: every result once, every outbox without a gap."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from contract.messages import encode_message
from contract.topics import Leaf, topic_for
from fleet.collecting.intake import Intake
from fleet.errors import StoreUnavailableError
from fleet.mqtt.delivery import Delivery
from fleet.store.acks import acks_of
from fleet.store.database import Database, open_database
from fleet.store.roster import device_ids
from fleet.store.schema import results
from support.measurements import make_result, make_run
from support.postgres import PostgresServer

COLLECTORS, DEVICES, EACH = 4, 12, 40


@pytest.fixture
def stores(postgres: PostgresServer) -> Iterator[list[Database]]:
    """One PostgreSQL store, opened by several collectors at once."""
    with postgres.database() as url, contextlib.ExitStack() as stack:
        with ThreadPoolExecutor(COLLECTORS) as pool:
            opened = list(pool.map(lambda _: open_database(url, create=True), range(COLLECTORS)))
        for database in opened:
            stack.callback(database.close)
        yield opened


def stream() -> list[Delivery]:
    return [
        Delivery(
            topic=topic_for("lab", f"d-{device}", Leaf.RESULT),
            payload=encode_message(
                make_result(
                    seq,
                    make_run("net-base", run_id=f"{device}-{seq}"),
                    device=f"d-{device}",
                )
            ),
            retained=False,
            received_at=50.0,
        )
        for device in range(DEVICES)
        for seq in range(1, EACH + 1)
    ]


def take_all(database: Database, share: list[Delivery], seed: int) -> None:
    intake, draw = Intake(database), random.Random(seed)  # noqa: S311 - an order
    while share:
        size = draw.randint(1, 30)
        batch, share = share[:size], share[size:]
        while True:
            try:
                intake.take(batch, now=100.0)
            except StoreUnavailableError:
                # As the collector does: nothing of it was stored.
                continue
            break


def test_collectors_that_share_a_store_make_it_once_and_store_everything_once(
    stores: list[Database],
) -> None:
    """They all know of all devices, in orders of their own; a third comes to two of them."""
    assert len({database.store_id() for database in stores}) == 1
    draw = random.Random(5)  # noqa: S311 - an order
    shares: list[list[Delivery]] = [[] for _ in stores]
    for delivery in stream():
        for number in draw.sample(range(COLLECTORS), 2 if draw.random() < 1 / 3 else 1):
            shares[number].append(delivery)
    for share in shares:
        draw.shuffle(share)
    with ThreadPoolExecutor(COLLECTORS) as pool:
        work = [
            pool.submit(take_all, database, share, seed)
            for seed, (database, share) in enumerate(zip(stores, shares, strict=True))
        ]
        for one in work:
            one.result()
    with stores[0].reading() as connection:
        stored = list(connection.scalars(sa.select(results.c.run_id)))
        acks = acks_of(connection, device_ids(connection), 100.0)
    assert sorted(stored) == sorted(
        f"{device}-{seq}" for device in range(DEVICES) for seq in range(1, EACH + 1)
    )
    assert {ack.epochs["e-1"].through for ack in acks} == {EACH}
    assert len(acks) == DEVICES
