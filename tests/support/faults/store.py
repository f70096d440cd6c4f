"""The fleet's end: its real intake and store, without a broker between."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import msgspec
import sqlalchemy as sa

from contract.benchmark import BenchRun
from contract.messages import EpochAck
from contract.topics import Leaf, topic_for
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.acks import acks_of
from fleet.store.database import open_database
from fleet.store.outbox import watermarks_of
from fleet.store.quarantine import list_quarantine
from fleet.store.roster import device_ids
from fleet.store.schema import results, tombstones

_SITE, _DEVICE = "lab", "box"


class Store:
    """A store file of one device's results."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.database = open_database(f"sqlite:///{path}", create=True)
        self._intake = Intake(self.database)

    def close(self) -> None:
        """Release the file."""
        self.database.close()

    def copy(self, path: Path) -> None:
        """Back up to another file, as an operator does while the fleet runs."""
        source, target = sqlite3.connect(self.path), sqlite3.connect(path)
        source.backup(target)
        source.close()
        target.close()

    def restore(self, backup: Path) -> None:
        """Put a backup in this file's place."""
        self.database.close()
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)
        shutil.copyfile(backup, self.path)

    def take(self, payloads: Sequence[bytes]) -> None:
        """Store messages of the device's outbox."""
        topic = topic_for(_SITE, _DEVICE, Leaf.RESULT)
        self._intake.take(
            [
                Delivery(topic=topic, payload=payload, retained=False, received_at=50.0)
                for payload in payloads
            ],
            now=100.0,
        )

    def ack(self) -> dict[str, EpochAck]:
        """Return the retained acknowledgement by epoch."""
        with self.database.reading() as connection:
            acks = acks_of(connection, device_ids(connection), 100.0)
        return acks[0].epochs if acks else {}

    def run_ids(self) -> list[str]:
        """Ids of the stored runs in the order of storing, repetitions included."""
        run_id = sa.func.json_extract(results.c.run, "$.run_id")
        with self.database.reading() as connection:
            return list(connection.scalars(sa.select(run_id).order_by(results.c.id)))

    def runs(self) -> list[BenchRun]:
        """Stored runs in the order of storing, without their samples."""
        with self.database.reading() as connection:
            rows = connection.scalars(sa.select(results.c.run).order_by(results.c.id))
            return [msgspec.json.decode(run, type=BenchRun) for run in rows]

    def tombstones(self) -> list[tuple[int, int, str]]:
        """Closed ranges with their reasons."""
        rows = sa.select(tombstones.c.seq, tombstones.c.last_seq, tombstones.c.reason)
        with self.database.reading() as connection:
            return [tuple(row) for row in connection.execute(rows.order_by(tombstones.c.seq))]

    def quarantine(self) -> list[str]:
        """Why messages were refused."""
        with self.database.reading() as connection:
            return [one.reason for one in list_quarantine(connection, limit=1000)]

    def missing(self) -> int:
        """How many places below the highest closed one are open, over all epochs."""
        with self.database.reading() as connection:
            return sum(
                mark.missing
                for device_id in device_ids(connection)
                for mark in watermarks_of(connection, device_id).values()
            )

    def epochs(self) -> list[str]:
        """Outboxes that this device had, newest first."""
        with self.database.reading() as connection:
            return [
                epoch
                for device_id in device_ids(connection)
                for epoch in watermarks_of(connection, device_id)
            ]
