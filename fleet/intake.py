"""Everything that devices send, stored in one transaction a batch."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from contract.benchmark import BenchRun
from contract.messages import Ack, Inventory, Presence, Result, State, Tombstone, Update
from fleet.database import Database
from fleet.delivery import Accepted, Delivery, Place, Refused, read_delivery, refuse
from fleet.errors import RowRefusedError
from fleet.interval import p95_interval
from fleet.outbox import Outboxes, acks_of
from fleet.presence import Connection, next_connection
from fleet.quarantine import put_in_quarantine
from fleet.schema import devices, results, samples, tombstones

_log = logging.getLogger(__name__)

_BOOTS = msgspec.json.Decoder(tuple[str, ...])


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one batch, once it is durable."""

    acks: list[Ack]
    stored: int
    duplicates: int
    quarantined: int


class Intake:
    """Writes batches of deliveries into the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, deliveries: Sequence[Delivery], *, now: float) -> Receipt:
        """Store a batch; everything in it is durable when this returns.

        A message that the contract or the database refuses goes to quarantine, and the rest
        is stored all the same.

        Raises:
            StoreUnavailableError: nothing of the batch was stored; give it again.
        """
        read = [read_delivery(delivery) for delivery in deliveries]
        try:
            return self._store(read, now)
        except RowRefusedError:
            receipts = [self._store_alone(one, now) for one in read]
        return Receipt(
            acks=list({(ack.site, ack.device): ack for r in receipts for ack in r.acks}.values()),
            stored=sum(receipt.stored for receipt in receipts),
            duplicates=sum(receipt.duplicates for receipt in receipts),
            quarantined=sum(receipt.quarantined for receipt in receipts),
        )

    def disconnect_all(self) -> None:
        """Mark every device offline: the broker they were connected to is gone."""
        with self._database.writing() as connection:
            connection.execute(
                sa.update(devices)
                .where(devices.c.presence == Presence.ONLINE.value)
                .values(presence=Presence.OFFLINE.value),
            )

    def _store(self, read: Sequence[Accepted | Refused], now: float) -> Receipt:
        with self._database.writing() as connection:
            batch = _Batch(connection, now)
            for one in read:
                batch.add(one)
            return batch.finish()

    def _store_alone(self, one: Accepted | Refused, now: float) -> Receipt:
        try:
            return self._store([one], now)
        except RowRefusedError as error:
            return self._store([refuse(one.delivery, f"the store cannot hold it: {error}")], now)


class _Batch:
    """One transaction's work."""

    def __init__(self, connection: sa.Connection, now: float) -> None:
        self._connection = connection
        self._now = now
        self._outboxes = Outboxes(connection, now)
        self._last_seen: dict[tuple[str, str], float | None] = {}
        self._to_ack: set[tuple[str, str]] = set()
        self._stored = 0
        self._duplicates = 0
        self._quarantined = 0

    def add(self, one: Accepted | Refused) -> None:
        if isinstance(one, Refused):
            self._refused(one)
            return
        message = one.message
        self._meet(message.site, message.device, one.delivery)
        if isinstance(message, Result):
            self._result(message, one.delivery)
        elif isinstance(message, Tombstone):
            self._tombstone(message)
        elif isinstance(message, State):
            self._state(message)
        elif isinstance(message, Inventory):
            self._keep(message, {"inventory": msgspec.json.encode(message).decode()})
        elif isinstance(message, Update):
            self._keep(message, {"progress": msgspec.json.encode(message).decode()})

    def finish(self) -> Receipt:
        self._outboxes.save()
        for (site, device), at in self._last_seen.items():
            if at is not None:
                self._connection.execute(
                    sa.update(devices).where(_is(site, device)).values(last_seen_at=at),
                )
        return Receipt(
            acks=acks_of(self._connection, self._to_ack, self._now),
            stored=self._stored,
            duplicates=self._duplicates,
            quarantined=self._quarantined,
        )

    def _meet(self, site: str, device: str, delivery: Delivery) -> None:
        """Make the device known; only a live message is a sign of life."""
        key = (site, device)
        if key not in self._last_seen:
            self._last_seen[key] = None
            known = sa.select(sa.literal(1)).where(_is(site, device))
            if self._connection.scalar(known) is None:
                self._connection.execute(
                    sa.insert(devices).values(site=site, device=device, first_seen_at=self._now),
                )
        if not delivery.retained:
            self._last_seen[key] = delivery.received_at

    def _result(self, result: Result, delivery: Delivery) -> None:
        self._to_ack.add((result.site, result.device))
        place = Place(result.site, result.device, result.epoch, result.seq)
        if self._outboxes.is_closed(place):
            known = self._stored_sha256(place)
            if known == delivery.sha256:
                self._duplicates += 1
                return
            if known is not None:
                reason = (
                    f"result {place.seq} of outbox '{place.epoch}' is stored with other content; "
                    "expected the same bytes: two devices may share one identity"
                )
                self._put_away(refuse(delivery, reason))
                self._outboxes.dispute(place)
                return
            self._outboxes.unreject(place)
        run = result.run
        if self._is_stored_elsewhere(place, run):
            self._outboxes.close(place)
            self._duplicates += 1
            return
        interval = p95_interval(run.samples_ms)
        self._connection.execute(
            sa.insert(results).values(
                **msgspec.structs.asdict(place),
                body_sha256=delivery.sha256,
                received_at=delivery.received_at,
                variant=run.variant,
                threads=run.threads,
                status=run.status.value,
                fingerprint=run.fingerprint,
                set_id=run.set_id,
                p95_ci_low_ms=interval.low if interval else None,
                p95_ci_high_ms=interval.high if interval else None,
                run=_without_samples(run),
                run_id=run.run_id,
            ),
        )
        if run.samples_ms:
            packed = struct.pack(f"<{len(run.samples_ms)}d", *run.samples_ms)
            self._connection.execute(
                sa.insert(samples).values(**msgspec.structs.asdict(place), latencies_ms=packed),
            )
        self._outboxes.close(place)
        self._stored += 1

    def _stored_sha256(self, place: Place) -> str | None:
        return self._connection.scalar(
            sa.select(results.c.body_sha256).where(
                results.c.site == place.site,
                results.c.device == place.device,
                results.c.epoch == place.epoch,
                results.c.seq == place.seq,
            ),
        )

    def _is_stored_elsewhere(self, place: Place, run: BenchRun) -> bool:
        """Whether another outbox of this device brought this run already.

        A device whose disk was restored or replaced sends again, from a new outbox, what it
        cannot know to be stored.
        """
        return bool(
            self._connection.scalar(
                sa.select(sa.literal(1)).where(
                    results.c.site == place.site,
                    results.c.device == place.device,
                    results.c.run_id == run.run_id,
                    results.c.epoch != place.epoch,
                    results.c.run == _without_samples(run),
                ),
            ),
        )

    def _tombstone(self, stone: Tombstone) -> None:
        self._to_ack.add((stone.site, stone.device))
        place = Place(stone.site, stone.device, stone.epoch, stone.seq)
        row = {**msgspec.structs.asdict(place), "last_seq": stone.last_seq}
        known = self._connection.scalar(
            sa.select(sa.literal(1)).where(
                *(tombstones.c[name] == value for name, value in row.items()),
            ),
        )
        if known is not None:
            self._duplicates += 1
            return
        self._connection.execute(
            sa.insert(tombstones).values(**row, reason=stone.reason, received_at=self._now),
        )
        self._outboxes.close(place, stone.last_seq)
        self._stored += 1

    def _state(self, state: State) -> None:
        this = _is(state.site, state.device)
        row = self._connection.execute(
            sa.select(
                devices.c.presence,
                devices.c.boot_id,
                devices.c.connection,
                devices.c.state_at,
                devices.c.earlier_boots,
            ).where(this),
        ).one()
        known = None
        if row.presence is not None:
            known = Connection(
                Presence(row.presence),
                row.boot_id,
                row.connection,
                row.state_at,
                _BOOTS.decode(row.earlier_boots or "[]"),
            )
        new = next_connection(known, state)
        if new != known:
            self._connection.execute(
                sa.update(devices)
                .where(this)
                .values(
                    presence=new.presence.value,
                    boot_id=new.boot_id,
                    connection=new.number,
                    state_at=new.at,
                    earlier_boots=msgspec.json.encode(new.earlier_boots).decode(),
                ),
            )

    def _keep(self, message: Inventory | Update, values: dict[str, str]) -> None:
        self._connection.execute(
            sa.update(devices).where(_is(message.site, message.device)).values(**values),
        )

    def _refused(self, refused: Refused) -> None:
        self._put_away(refused)
        if refused.place is not None:
            place = refused.place
            self._meet(place.site, place.device, refused.delivery)
            self._outboxes.reject(place, refused.reason)
            self._to_ack.add((place.site, place.device))

    def _put_away(self, refused: Refused) -> None:
        put_in_quarantine(self._connection, refused, now=self._now)
        self._quarantined += 1
        # Escaped: strangers' words must not break a line of the log, or its encoding.
        _log.warning(
            "quarantined topic=%a bytes=%d reason=%a",
            refused.delivery.topic[:200],
            len(refused.delivery.payload),
            refused.reason[:500],
        )


def _is(site: str, device: str) -> sa.ColumnElement[bool]:
    return sa.and_(devices.c.site == site, devices.c.device == device)


def _without_samples(run: BenchRun) -> str:
    return msgspec.json.encode(msgspec.structs.replace(run, samples_ms=[])).decode()
