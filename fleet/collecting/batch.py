"""One batch of messages in one transaction: read what they touch, judge each, write it all.

Every table is read once and written once a batch, whatever its size: one statement for many
rows costs a fraction of as many statements.
"""

from __future__ import annotations

import struct
from operator import itemgetter

import msgspec
import sqlalchemy as sa

from contract.messages import Inventory, Result, State, Tombstone, Update
from edgewright.rate_limit import rate_limited_logger
from fleet.choosing.figures import pack_figures
from fleet.choosing.interval import p95_interval
from fleet.collecting.touched import Item, Touched
from fleet.mqtt.delivery import Accepted, Delivery, Refused, refuse
from fleet.store.dialect import insert_rows, together, update_rows
from fleet.store.outbox import Outbox
from fleet.store.presence import next_connection
from fleet.store.quarantine import put_in_quarantine
from fleet.store.repeats import note_runs
from fleet.store.schema import devices, results, samples, tombstones

_log = rate_limited_logger(__name__)

_RESULT = (
    "epoch_id", "seq", "build_id", "run_id", "body_sha256", "received_at", "variant",
    "threads", "status", "fingerprint", "set_id", "figures", "run",
)  # fmt: skip
_SAMPLES = ("epoch_id", "seq", "latencies_ms")
_TOMBSTONE = ("epoch_id", "seq", "last_seq", "reason", "received_at")


class Batch:
    """Judges messages in their order, and writes what follows from them.

    Args:
        connection: within a writing transaction.
        touched: what the messages are about, read in that transaction.
        now: seconds since the epoch.
    """

    def __init__(self, connection: sa.Connection, touched: Touched, now: float) -> None:
        #: Outboxes of each device that wait for an acknowledgement.
        self.to_ack: dict[int, set[int]] = {}
        self.to_decide: set[int] = set()
        self.stored = 0
        self.duplicates = 0
        self.quarantined = 0
        self._connection = connection
        self._now = now
        self._items = touched.items
        self._outboxes = touched.outboxes
        self._digests = touched.digests
        self._runs = touched.runs
        self._connections = touched.connections
        #: Columns of devices that change, by number.
        self._changes: dict[int, dict[str, object]] = {}
        self._seen_at: dict[int, float] = {}
        self._results: list[tuple[object, ...]] = []
        self._samples: list[tuple[object, ...]] = []
        self._repeatable: list[tuple[int, str, int, int]] = []
        self._tombstones: dict[tuple[int, int, int], str] = {}
        self._refusals: list[Refused] = []

    def write(self) -> None:
        """Judge every message, then write everything."""
        for item in self._items:
            self._judge(item)
        with together(self._connection):
            self._write_places()
        put_in_quarantine(self._connection, self._refusals, now=self._now)
        self._write_devices()
        self._log_refusals()

    def _write_places(self) -> None:
        # In the order of the index, so that neighbours in it are written one after the other.
        insert_rows(self._connection, results, _RESULT, sorted(self._results, key=itemgetter(0, 1)))
        insert_rows(self._connection, samples, _SAMPLES, self._samples)
        note_runs(self._connection, self._repeatable)
        stones = [(*key, reason, self._now) for key, reason in self._tombstones.items()]
        insert_rows(self._connection, tombstones, _TOMBSTONE, stones)
        self._outboxes.save()
        seen = [(at, device_id) for device_id, at in sorted(self._seen_at.items())]
        update_rows(self._connection, devices, ("last_seen_at",), seen)

    def _judge(self, item: Item) -> None:
        one, device_id, outbox = item.one, item.device_id, item.outbox
        delivery = one.delivery
        if device_id is not None and delivery.is_live:
            # Only a live message is a sign of life.
            self._seen_at[device_id] = delivery.received_at
        if device_id is not None and outbox is not None:
            self.to_ack.setdefault(device_id, set()).add(outbox.id)
        if isinstance(one, Refused):
            self._put_away(one)
            if outbox is not None and one.place is not None:
                self._outboxes.reject(outbox, one.place.seq, one.reason, is_live=delivery.is_live)
            return
        if device_id is not None:
            self._accept(device_id, item, one)

    def _accept(self, device_id: int, item: Item, one: Accepted) -> None:
        message, delivery, outbox = one.message, one.delivery, item.outbox
        match message:
            case Result() if outbox is not None:
                self._result(device_id, outbox, message, one, item.build_id)
            case Tombstone() if outbox is not None:
                self._tombstone(outbox, message, delivery)
            case State():
                self._state(device_id, message)
            case Inventory():
                self._inventory(device_id, message)
            case Update():
                self._change(device_id, progress=msgspec.json.encode(message).decode())

    def _result(
        self, device_id: int, outbox: Outbox, result: Result, one: Accepted, build_id: int
    ) -> None:
        delivery = one.delivery
        seq, run, digest = result.seq, result.run, delivery.sha256
        if outbox.watermark.is_closed(seq):
            known = self._digests.get((outbox.id, seq))
            if known == digest:
                self.duplicates += 1
                return
            if known is not None:
                reason = (
                    f"result {seq} of outbox '{result.epoch}' is stored with other content; "
                    "expected the same bytes: two devices may share one identity"
                )
                self._put_away(refuse(delivery, reason))
                self._outboxes.dispute(outbox, seq)
                return
            self._outboxes.unreject(outbox, seq)
        elif not self._takes(outbox, seq, seq, delivery):
            return
        text = one.run_text
        brought = self._runs.setdefault((device_id, run.run_id), [])
        if any(epoch_id != outbox.id and other == text for epoch_id, other in brought):
            # A device whose disk was restored or replaced sends again, from a new outbox, what
            # it cannot know to be stored.
            outbox.close(seq, seq, is_live=delivery.is_live)
            self.duplicates += 1
            return
        brought.append((outbox.id, text))
        if device_id in self._outboxes.devices_with_several:
            self._repeatable.append((device_id, run.run_id, outbox.id, seq))
        self._results.append(
            (
                outbox.id,
                seq,
                build_id,
                run.run_id,
                digest,
                delivery.received_at,
                run.variant,
                run.threads,
                run.status.value,
                run.fingerprint,
                run.set_id,
                pack_figures(run, p95_interval(run.samples_ms)),
                text,
            )
        )
        if run.samples_ms:
            packed = struct.pack(f"<{len(run.samples_ms)}d", *run.samples_ms)
            self._samples.append((outbox.id, seq, packed))
        outbox.close(seq, seq, is_live=delivery.is_live)
        self._digests[outbox.id, seq] = digest
        self.to_decide.add(device_id)
        self.stored += 1

    def _tombstone(self, outbox: Outbox, stone: Tombstone, delivery: Delivery) -> None:
        key = outbox.id, stone.seq, stone.last_seq
        if key in self._tombstones or self._is_stored(key):
            self.duplicates += 1
            return
        if not self._takes(outbox, stone.seq, stone.last_seq, delivery):
            return
        self._tombstones[key] = stone.reason
        outbox.close(stone.seq, stone.last_seq, is_live=delivery.is_live)
        self.stored += 1

    def _takes(self, outbox: Outbox, seq: int, last_seq: int, delivery: Delivery) -> bool:
        """Whether places may be closed; else the message is put away, and may come again."""
        mark = outbox.watermark
        if mark.takes(seq, last_seq):
            return True
        reason = (
            f"place {seq} leaves one more gap behind place {mark.through}, beside "
            f"{len(mark.islands)}; expected what is missing first"
        )
        self._put_away(refuse(delivery, reason))
        return False

    def _is_stored(self, key: tuple[int, int, int]) -> bool:
        columns = tombstones.c.epoch_id, tombstones.c.seq, tombstones.c.last_seq
        query = sa.select(sa.literal(1)).where(sa.tuple_(*columns) == sa.tuple_(*key))
        return self._connection.scalar(query) is not None

    def _inventory(self, device_id: int, inventory: Inventory) -> None:
        groups = inventory.groups
        self.to_decide.add(device_id)
        self._change(
            device_id,
            inventory=msgspec.json.encode(inventory).decode(),
            fingerprint=inventory.fingerprint,
            set_id=inventory.set_id,
            told_groups=msgspec.json.encode(groups).decode() if groups else None,
        )

    def _state(self, device_id: int, state: State) -> None:
        known = self._connections.get(device_id)
        new = next_connection(known, state, now=self._now)
        if new == known:
            return
        self._connections[device_id] = new
        self._change(
            device_id,
            presence=new.presence.value,
            boot_id=new.boot_id,
            connection=new.number,
            state_at=new.at,
            earlier_boots=msgspec.json.encode(new.earlier_boots).decode(),
            returns=new.returns.times or None,
            returned_at=new.returns.at,
        )

    def _change(self, device_id: int, **values: object) -> None:
        self._changes.setdefault(device_id, {}).update(values)

    def _put_away(self, refused: Refused) -> None:
        self._refusals.append(refused)
        self.quarantined += 1

    def _write_devices(self) -> None:
        for device_id, values in sorted(self._changes.items()):
            self._connection.execute(
                sa.update(devices).where(devices.c.id == device_id).values(**values)
            )

    def _log_refusals(self) -> None:
        """One line for all of one device, or of none: a flood must not fill the log."""
        by_device: dict[tuple[str | None, str | None], list[Refused]] = {}
        for refused in self._refusals:
            by_device.setdefault((refused.site, refused.device), []).append(refused)
        for mine in by_device.values():
            # Escaped: strangers' words must not break a line of the log, or its encoding.
            _log.warning(
                "quarantined messages=%d topic=%a bytes=%d reason=%a",
                len(mine),
                mine[-1].delivery.topic[:200],
                len(mine[-1].delivery.payload),
                mine[-1].reason[:500],
            )
