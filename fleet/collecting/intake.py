"""Everything that devices send, stored in one transaction a batch."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from contract.messages import Ack, Presence
from fleet.collecting.batch import Batch
from fleet.collecting.touched import Touched
from fleet.errors import RowRefusedError
from fleet.mqtt.delivery import Accepted, Delivery, Refused, read_delivery, refuse
from fleet.store.acks import acks_of
from fleet.store.catalogue import Catalogue
from fleet.store.database import Database
from fleet.store.registry import Registry
from fleet.store.schema import devices


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one batch, once it is durable."""

    #: Numbers of the devices that wait for an acknowledgement.
    to_ack: frozenset[int]
    #: Numbers of the devices of which something came that bears on a choice.
    to_decide: frozenset[int]
    stored: int
    duplicates: int
    quarantined: int


class Intake:
    """Writes batches of deliveries into the store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._registry = Registry()
        self._catalogue = Catalogue()

    def take(self, deliveries: Sequence[Delivery], *, now: float) -> Receipt:
        """Store a batch; everything in it is durable when this returns.

        A message that the contract or the database refuses goes to quarantine, and the rest
        is stored all the same.

        Raises:
            StoreUnavailableError: nothing of the batch was stored; give it again.
        """
        return self._take([read_delivery(delivery) for delivery in deliveries], now)

    def acks(self, device_ids: frozenset[int], *, now: float) -> list[Ack]:
        """What is safe by now of each of these devices' outboxes.

        Raises:
            StoreUnavailableError: the store cannot be read.
        """
        with self._database.reading() as connection:
            return acks_of(connection, device_ids, now)

    def disconnect_all(self) -> None:
        """Mark every device offline: the broker they were connected to is gone."""
        with self._database.writing() as connection:
            connection.execute(
                sa.update(devices)
                .where(devices.c.presence == Presence.ONLINE.value)
                .values(presence=Presence.OFFLINE.value),
            )

    def _take(self, read: Sequence[Accepted | Refused], now: float) -> Receipt:
        try:
            return self._store(read, now)
        except RowRefusedError:
            # Perhaps a device was removed from the store since.
            self._registry.forget()
            self._catalogue.forget()
        if len(read) == 1:
            return self._store_alone(read[0], now)
        # By halves: one bad message among many costs a few tries, not one each.
        middle = len(read) // 2
        first, second = self._take(read[:middle], now), self._take(read[middle:], now)
        return Receipt(
            to_ack=first.to_ack | second.to_ack,
            to_decide=first.to_decide | second.to_decide,
            stored=first.stored + second.stored,
            duplicates=first.duplicates + second.duplicates,
            quarantined=first.quarantined + second.quarantined,
        )

    def _store_alone(self, one: Accepted | Refused, now: float) -> Receipt:
        try:
            return self._store([one], now)
        except RowRefusedError as error:
            return self._store([refuse(one.delivery, f"the store cannot hold it: {error}")], now)

    def _store(self, read: Sequence[Accepted | Refused], now: float) -> Receipt:
        with self._database.writing() as connection:
            touched = Touched(connection, self._registry, self._catalogue, read, now)
            batch = Batch(connection, touched, now)
            batch.write()
        self._registry.remember(touched.devices)
        self._catalogue.remember(touched.builds)
        return Receipt(
            to_ack=frozenset(batch.to_ack),
            to_decide=frozenset(batch.to_decide),
            stored=batch.stored,
            duplicates=batch.duplicates,
            quarantined=batch.quarantined,
        )
