"""What a batch of messages touches, as the store has it: each table is read once."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from contract.messages import Presence, Result, State, Tombstone
from fleet.choosing.build import Build, build_of
from fleet.mqtt.delivery import Accepted, Refused, refuse
from fleet.store.catalogue import Catalogue
from fleet.store.dialect import is_among, pairs
from fleet.store.outbox import MOST_OUTBOXES, Outbox, Outboxes
from fleet.store.presence import Boot, Connection
from fleet.store.registry import Name, Registry
from fleet.store.repeats import Brought, RunKey, brought_before
from fleet.store.schema import devices, results
from fleet.store.turns import Returns

_BOOTS = msgspec.json.Decoder(tuple[Boot, ...])


class Item(msgspec.Struct, gc=False):
    """One message with what it is about: its device, and its outbox where it has a place."""

    one: Accepted | Refused
    device_id: int | None = None
    outbox: Outbox | None = None
    #: Number of the build that a result is of.
    build_id: int = 0


class Touched:
    """Devices, outboxes and builds that messages name, and what is stored of them.

    Devices, outboxes and builds that the store did not know are made known.

    Args:
        connection: within a writing transaction, which holds the devices from here on.
        registry: knows the numbers of devices.
        catalogue: knows the numbers of builds.
        read: what reading each delivery gave, in the order of their arrival.
        now: seconds since the epoch.
    """

    def __init__(
        self,
        connection: sa.Connection,
        registry: Registry,
        catalogue: Catalogue,
        read: Sequence[Accepted | Refused],
        now: float,
    ) -> None:
        self._connection = connection
        about = [(one, _name_in(one), _epoch_in(one)) for one in read]
        names = {name for _, name, _ in about if name is not None}
        #: Number of every device that is named.
        self.devices = registry.meet(connection, names, now=now)
        keys = {
            (self.devices[name], epoch)
            for _, name, epoch in about
            if name is not None and epoch is not None
        }
        self.outboxes = Outboxes(connection, keys, now)
        tested = [_build_in(one) for one in read]
        #: Number of every build that is named.
        self.builds = catalogue.meet(connection, {build for build in tested if build})
        self.items = [self._item(one, name, epoch) for one, name, epoch in about]
        for item, build in zip(self.items, tested, strict=True):
            if build is not None:
                item.build_id = self.builds[build]
        #: Digest of what is stored in places that are named, by outbox and place.
        self.digests = self._stored_digests()
        #: Outboxes that brought a run before, and the run, of devices with several outboxes.
        self.runs = self._stored_runs()
        #: Newest connection of each device that tells of one.
        self.connections = self._stored_connections()

    def _item(self, one: Accepted | Refused, name: Name | None, epoch: str | None) -> Item:
        if name is None:
            return Item(one)
        device_id = self.devices[name]
        if epoch is None:
            return Item(one, device_id)
        outbox = self.outboxes.get((device_id, epoch))
        if outbox is None and isinstance(one, Accepted):
            reason = f"outbox '{epoch}': expected one of the {MOST_OUTBOXES} that this device had"
            return Item(refuse(one.delivery, reason), device_id)
        return Item(one, device_id, outbox)

    def _stored_digests(self) -> dict[tuple[int, int], str]:
        """Digests of what is stored already in these places: of repeated messages."""
        places = {
            (item.outbox.id, item.one.message.seq)
            for item in self.items
            if item.outbox is not None
            and isinstance(item.one, Accepted)
            and isinstance(item.one.message, Result)
            and item.outbox.watermark.is_closed(item.one.message.seq)
        }
        if not places:
            return {}
        wanted = pairs(self._connection, sorted(places), sa.BigInteger(), sa.BigInteger())
        rows = self._connection.execute(
            sa.select(results.c.epoch_id, results.c.seq, results.c.body_sha256).join(
                wanted,
                sa.and_(wanted.c.first == results.c.epoch_id, wanted.c.second == results.c.seq),
            )
        ).all()
        return {(epoch_id, seq): digest for epoch_id, seq, digest in rows}

    def _stored_runs(self) -> dict[RunKey, list[Brought]]:
        """What is stored of the runs that come, of devices with several outboxes."""
        doubtful = self.outboxes.devices_with_several
        return brought_before(
            self._connection,
            {
                (item.device_id, item.one.message.run.run_id)
                for item in self.items
                if item.device_id is not None
                and item.device_id in doubtful
                and isinstance(item.one, Accepted)
                and isinstance(item.one.message, Result)
            },
        )

    def _stored_connections(self) -> dict[int, Connection]:
        """Newest connection of the devices that tell of one."""
        ids = {
            item.device_id
            for item in self.items
            if item.device_id is not None
            and isinstance(item.one, Accepted)
            and isinstance(item.one.message, State)
        }
        if not ids:
            return {}
        rows = self._connection.execute(
            sa.select(
                devices.c.id,
                devices.c.presence,
                devices.c.boot_id,
                devices.c.connection,
                devices.c.state_at,
                devices.c.earlier_boots,
                devices.c.returns,
                devices.c.returned_at,
            ).where(is_among(self._connection, devices.c.id, ids), devices.c.presence.is_not(None))
        ).all()
        return {
            device_id: Connection(
                Presence(presence),
                boot_id,
                number,
                at,
                _BOOTS.decode(earlier or "[]"),
                Returns(times or 0, returned_at),
            )
            for device_id, presence, boot_id, number, at, earlier, times, returned_at in rows
        }


def _name_in(one: Accepted | Refused) -> Name | None:
    if isinstance(one, Accepted):
        return one.message.site, one.message.device
    return None if one.place is None else (one.place.site, one.place.device)


def _epoch_in(one: Accepted | Refused) -> str | None:
    if isinstance(one, Accepted):
        message = one.message
        return message.epoch if isinstance(message, Result | Tombstone) else None
    return None if one.place is None else one.place.epoch


def _build_in(one: Accepted | Refused) -> Build | None:
    if isinstance(one, Accepted) and isinstance(one.message, Result):
        return build_of(one.message.run)
    return None
