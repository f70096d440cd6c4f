"""What a collector tells the source of its messages, and when."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from contract.messages import Ack, Desired, encode_message
from contract.topics import Leaf, topic_for
from fleet.collecting.collector import Collector
from fleet.mqtt.delivery import Delivery, Subscribed
from fleet.store.database import Database
from fleet.store.schema import results
from support.measurements import make_result, make_run

COUNT = 3


class Stream:
    """A source with results that it keeps until they are stored."""

    def __init__(self, database: Database, count: int = COUNT) -> None:
        self._database = database
        self._waiting: list[Delivery | Subscribed] = [
            Delivery(
                topic=topic_for("lab", "box", Leaf.RESULT),
                payload=encode_message(make_result(seq, make_run(run_id=f"run-{seq}"))),
                retained=False,
                received_at=1.0,
                ticket=seq,
            )
            for seq in range(1, count + 1)
        ]
        self.settled: list[int | None] = []
        self.stored_when_settled = 0
        self.through = 0
        self.acks = 0
        self.stop = threading.Event()

    def open(self) -> None:
        """Nothing to connect to."""

    def receive(self, *, at_most: int, wait_s: float) -> list[Delivery | Subscribed]:
        del wait_s
        given, self._waiting = self._waiting[:at_most], self._waiting[at_most:]
        if not given:
            self.stop.set()
        return given

    def settle(self, deliveries: Sequence[Delivery]) -> None:
        with self._database.reading() as connection:
            query = sa.select(sa.func.count()).select_from(results)
            self.stored_when_settled = connection.scalar(query) or 0
        self.settled += [one.ticket for one in deliveries]

    def publish(self, messages: Sequence[Ack | Desired]) -> None:
        for message in messages:
            if isinstance(message, Ack):
                self.acks += 1
                self.through = message.epochs["e-1"].through

    def close(self) -> None:
        """Nothing to end."""


def test_results_are_settled_once_they_are_stored(database: Database) -> None:
    source = Stream(database)
    Collector(database, source, on_ready=lambda: None).run(source.stop)
    assert source.settled == list(range(1, COUNT + 1))
    assert source.stored_when_settled == COUNT
    assert source.through == COUNT


def test_while_results_come_a_device_is_told_less_often_than_it_sends(database: Database) -> None:
    source = Stream(database, 100)
    Collector(database, source, on_ready=lambda: None, batch=1).run(source.stop)
    assert source.through == 100
    assert 1 <= source.acks <= 50


def test_what_could_not_be_stored_is_not_settled(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """The store is out of order when the collector is told to stop."""
    source = Stream(database)
    assert database.path is not None
    with contextlib.closing(sqlite3.connect(database.path)) as other:
        # Refused for a reason that is neither a row's nor damage.
        other.execute("CREATE TRIGGER t BEFORE INSERT ON results BEGIN SELECT away(); END")
    source.stop.set()
    Collector(database, source, on_ready=lambda: None).run(source.stop)
    assert source.settled == []
    assert source.through == 0
    assert "not stored; devices keep them" in caplog.text
