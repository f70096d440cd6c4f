"""Everything that devices send, stored in one transaction a batch."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence

import msgspec
import sqlalchemy as sa

from contract.messages import Ack, Presence
from edgewright.rate_limit import rate_limited_logger
from fleet.collecting.batch import Batch
from fleet.collecting.damage_check import DamageCheck
from fleet.collecting.halving import by_halves
from fleet.collecting.touched import Touched
from fleet.errors import RowRefusedError, StoreError
from fleet.mqtt.delivery import Accepted, Delivery, Refused, read_delivery, refuse
from fleet.store.acks import acks_of
from fleet.store.catalogue import Catalogue
from fleet.store.database import Database
from fleet.store.registry import Registry
from fleet.store.schema import devices

_log = rate_limited_logger(__name__)

_NONE: frozenset[int] = frozenset()
_SHOWN_CHARACTERS = 200


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one batch, once it is durable."""

    #: Numbers of the devices that wait for an acknowledgement, each with the outboxes that
    #: something came of.
    to_ack: Mapping[int, frozenset[int]] = {}
    #: Numbers of the devices of which something came that bears on a choice.
    to_decide: frozenset[int] = frozenset()
    stored: int = 0
    duplicates: int = 0
    quarantined: int = 0

    def joined_with(self, other: Receipt) -> Receipt:
        """Both batches taken together."""
        return Receipt(
            to_ack={
                device_id: self.to_ack.get(device_id, _NONE) | other.to_ack.get(device_id, _NONE)
                for device_id in {*self.to_ack, *other.to_ack}
            },
            to_decide=self.to_decide | other.to_decide,
            stored=self.stored + other.stored,
            duplicates=self.duplicates + other.duplicates,
            quarantined=self.quarantined + other.quarantined,
        )


class Intake:
    """Writes batches of deliveries into the store."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._damage = DamageCheck(database)
        self._registry = Registry()
        self._catalogue = Catalogue()

    def take(
        self, deliveries: Sequence[Delivery], *, now: float, isolates_failures: bool = False
    ) -> Receipt:
        """Store a batch; everything in it is durable when this returns.

        A message that the contract or the database refuses goes to quarantine, and the rest
        is stored all the same.

        Args:
            deliveries: the batch.
            now: seconds since the epoch.
            isolates_failures: treat a failure that may or may not come from a message as coming
                from one, and find it.

        Raises:
            StoreFailedError: nobody knows why, and `isolates_failures` is false.
            StoreUnavailableError: nothing, or not all, of the batch was stored; give it again.
        """
        read = [read_delivery(delivery) for delivery in deliveries]
        receipts = by_halves(
            read,
            lambda part: self._store(part, now),
            set_aside=lambda one, error: self._set_aside(one, error, now),
            isolates_failures=isolates_failures,
        )
        return functools.reduce(Receipt.joined_with, receipts)

    def acks(self, to_ack: Mapping[int, Collection[int]], *, now: float) -> list[Ack]:
        """What is safe by now of these devices' outboxes; those that are given for each come first.

        Raises:
            StoreUnavailableError: the store cannot be read.
        """
        named_first = {outbox for outboxes in to_ack.values() for outbox in outboxes}
        with self._database.reading() as connection:
            return acks_of(connection, to_ack, now, named_first=named_first)

    def disconnect_all(self) -> None:
        """Mark every device offline: the broker they were connected to is gone."""
        with self._database.writing() as connection:
            connection.execute(
                sa.update(devices)
                .where(devices.c.presence == Presence.ONLINE.value)
                .values(presence=Presence.OFFLINE.value),
            )

    def _set_aside(self, one: Accepted | Refused, error: Exception, now: float) -> Receipt:
        """Put a message into quarantine that the store does not take.

        Raises:
            StoreDamagedError: not the message is at fault, but the store.
        """
        self._damage.look_because_of(error)
        _log.error(
            "message refused by the store topic=%a reason=%s",
            one.delivery.topic[:_SHOWN_CHARACTERS],
            error,
            # With its traceback where it is a fault of our own.
            exc_info=None if isinstance(error, StoreError) else error,
        )
        try:
            return self._store([refuse(one.delivery, f"the store cannot hold it: {error}")], now)
        except RowRefusedError as again:
            # Not acknowledged, so that nobody takes it for stored; and nobody waits for it.
            _log.error("message dropped, quarantine refuses it reason=%s", again)
            return Receipt()

    def _store(self, read: Sequence[Accepted | Refused], now: float) -> Receipt:
        try:
            return self._stored(read, now)
        except RowRefusedError:
            # Perhaps a device was removed from the store since it was looked up.
            self._registry.forget()
            self._catalogue.forget()
        return self._stored(read, now)

    def _stored(self, read: Sequence[Accepted | Refused], now: float) -> Receipt:
        with self._database.writing() as connection:
            touched = Touched(connection, self._registry, self._catalogue, read, now)
            batch = Batch(connection, touched, now)
            batch.write()
        self._registry.remember(touched.devices)
        self._catalogue.remember(touched.builds)
        return Receipt(
            to_ack={device_id: frozenset(ids) for device_id, ids in batch.to_ack.items()},
            to_decide=frozenset(batch.to_decide),
            stored=batch.stored,
            duplicates=batch.duplicates,
            quarantined=batch.quarantined,
        )
