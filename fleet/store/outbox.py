"""What is stored and closed of each device's outboxes, within one transaction."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from fleet.store.acks import ACKED_REJECTIONS
from fleet.store.dialect import (
    Combine,
    among,
    delete_rows,
    insert_or_combine,
    insert_rows,
    is_among,
    listed,
    update_rows,
)
from fleet.store.repeats import expect_repeats
from fleet.store.schema import disputes, epochs, rejections
from fleet.store.turns import SETTLED_S, Returns, Turns
from fleet.store.watermark import Watermark

#: A device has a new one when its disk was restored or replaced.
MOST_OUTBOXES = 1_000
_REASON_CHARACTERS = 160

_ISLANDS = msgspec.json.Decoder(tuple[tuple[int, int], ...])

_NO_ISLANDS = "[]"
#: Between outboxes that one batch advanced; a time in seconds has digits for less than that.
_TICK_S = 1e-6
_NEW_EPOCH = ("device_id", "epoch", "through", "islands", "first_seen_at")
_CHANGED_EPOCH = (
    "through", "islands", "revision", "advanced_at", "returns", "returned_at",
)  # fmt: skip
_PLACE = ("epoch_id", "seq")
_REJECTION = ("epoch_id", "seq", "reason", "rejected_at")

#: Number of a device and name of one of its outboxes.
Key = tuple[int, str]


class Outbox:
    """One outbox of one device: its number, and which places of it are closed."""

    __slots__ = (
        "advanced_at",
        "changed",
        "id",
        "is_return",
        "is_used",
        "returns",
        "revision",
        "turns",
        "watermark",
    )

    def __init__(self, id_: int, watermark: Watermark, revision: int) -> None:
        self.id = id_
        self.watermark = watermark
        self.revision = revision
        self.changed = False
        #: Whether a live message closed a place, and whether another outbox had replaced this.
        self.is_used = False
        self.is_return = False
        self.advanced_at: float | None = None
        self.returns = Returns()
        #: Shared by the outboxes of a device that has several.
        self.turns: Turns | None = None

    def close(self, seq: int, last_seq: int, *, is_live: bool = True) -> None:
        """Close the places from `seq` to `last_seq`, both included.

        What is not live came from a person, and says nothing about the device.
        """
        self.watermark = self.watermark.close(seq, last_seq)
        self.changed = True
        if is_live:
            self.is_used = True
            if self.turns is not None and self.turns.take(self.id):
                self.is_return = True

    def row(self, now: float) -> tuple[object, ...]:
        """Its columns that change, and last its number."""
        returns = self.returns.again(now) if self.is_return else self.returns
        advanced_at = self.advanced_at
        if self.is_used:
            is_last = self.turns is not None and self.turns.last_id == self.id
            advanced_at = now + _TICK_S if is_last else now
        islands = _islands_text(self.watermark)
        through = self.watermark.through
        revision = self.revision + 1
        return through, islands, revision, advanced_at, returns.times or None, returns.at, self.id


class Outboxes:
    """The outboxes that one transaction touches, read once and written once.

    Args:
        connection: within a transaction that holds their devices.
        keys: which.
        now: seconds since the epoch.
    """

    def __init__(self, connection: sa.Connection, keys: Collection[Key], now: float) -> None:
        self._connection = connection
        self._now = now
        self._rejected: dict[tuple[int, int], str] = {}
        self._unrejected: set[tuple[int, int]] = set()
        self._disputed: dict[tuple[int, int], None] = {}
        #: Of these devices, those that have had more than one outbox.
        self.devices_with_several: set[int] = set()
        #: How many outboxes each device has.
        self._counts: Counter[int] = Counter()
        self._known = self._read(keys)
        new = self._new(keys)
        if new:
            rows = [(device_id, epoch, 0, _NO_ISLANDS, now) for device_id, epoch in new]
            insert_rows(connection, epochs, _NEW_EPOCH, rows)
            self._known |= self._read(new)
            anew = self.devices_with_several & {device_id for device_id, _ in new}
            expect_repeats(connection, anew)

    def get(self, key: Key) -> Outbox | None:
        """The outbox of a key; None where its device has had too many others."""
        return self._known.get(key)

    def reject(self, outbox: Outbox, seq: int, reason: str, *, is_live: bool = True) -> None:
        """Close a place for good without storing it, if it is open and may be closed."""
        if outbox.watermark.is_closed(seq) or not outbox.watermark.takes(seq, seq):
            return
        self._rejected[outbox.id, seq] = reason[:_REASON_CHARACTERS]
        outbox.close(seq, seq, is_live=is_live)

    def unreject(self, outbox: Outbox, seq: int) -> None:
        """Forget a rejection: the place came again, in order this time, and is stored."""
        if self._rejected.pop((outbox.id, seq), None) is None:
            self._unrejected.add((outbox.id, seq))
        outbox.changed = True

    def dispute(self, outbox: Outbox, seq: int) -> None:
        """Note that other bytes came for a place than are stored in it."""
        self._disputed[outbox.id, seq] = None

    def save(self) -> None:
        """Write what changed."""
        changed = sorted(
            (outbox for outbox in self._known.values() if outbox.changed), key=lambda one: one.id
        )
        rows = [outbox.row(self._now) for outbox in changed]
        update_rows(self._connection, epochs, _CHANGED_EPOCH, rows)
        delete_rows(self._connection, rejections, _PLACE, sorted(self._unrejected))
        rejected = [
            (epoch_id, seq, reason, self._now) for (epoch_id, seq), reason in self._rejected.items()
        ]
        insert_rows(self._connection, rejections, _REJECTION, rejected)
        for epoch_id in sorted({epoch_id for epoch_id, _ in self._rejected}):
            self._connection.execute(_forget_rejections(epoch_id))
        disputed = [
            {"epoch_id": epoch_id, "seq": seq, "last_at": self._now}
            for epoch_id, seq in sorted(self._disputed)
        ]
        last = {"last_at": Combine.REPLACE}
        insert_or_combine(self._connection, disputes, _PLACE, disputed, last)

    def _new(self, keys: Collection[Key]) -> list[Key]:
        """Keys of outboxes to begin: those that are not known, as far as their devices may."""
        counts, new = Counter(self._counts), []
        for key in sorted(key for key in keys if key not in self._known):
            counts[key[0]] += 1
            if counts[key[0]] <= MOST_OUTBOXES:
                new.append(key)
        return new

    def _read(self, keys: Collection[Key]) -> dict[Key, Outbox]:
        ids = {device_id for device_id, _ in keys}
        wanted = set(keys)
        rows = self._connection.execute(
            _of_devices(self._connection.dialect.name),
            {"device_ids": listed(self._connection, ids)},
        ).all()
        counts = Counter(row[1] for row in rows)
        self._counts.update(counts - self._counts)
        several = {device_id for device_id, count in counts.items() if count > 1}
        self.devices_with_several |= several
        turns = self._turns([row for row in rows if row[1] in several])
        found = {}
        for number, device_id, epoch, through, islands, revision, _, advanced_at, times, at in rows:
            if (device_id, epoch) in wanted:
                outbox = Outbox(number, watermark_of(through, islands), revision)
                outbox.advanced_at = advanced_at
                outbox.turns = turns.get(device_id)
                if times:
                    outbox.returns = Returns(times, at)
                found[device_id, epoch] = outbox
        return found

    def _turns(self, rows: Iterable[Any]) -> dict[int, Turns]:
        """Which outbox of each device was used last; rows as they are read."""
        by_device: dict[int, list[Any]] = {}
        for row in rows:
            by_device.setdefault(row.device_id, []).append(row)
        return {
            device_id: Turns(
                max(mine, key=lambda row: (row.advanced_at or 0.0, row.id)).id,
                settled=self._now - max(mine, key=lambda row: row.id).first_seen_at >= SETTLED_S,
            )
            for device_id, mine in by_device.items()
        }


@functools.cache
def _of_devices(dialect: str) -> sa.Select[Any]:
    """All outboxes of some devices: each batch asks."""
    return sa.select(
        epochs.c.id,
        epochs.c.device_id,
        epochs.c.epoch,
        epochs.c.through,
        epochs.c.islands,
        epochs.c.revision,
        epochs.c.first_seen_at,
        epochs.c.advanced_at,
        epochs.c.returns,
        epochs.c.returned_at,
    ).where(among(dialect, epochs.c.device_id, "device_ids"))


def _forget_rejections(epoch_id: int) -> sa.Delete:
    """All of an outbox but the newest, which are all that an ack can name."""
    mine = sa.select(rejections.c.seq).where(rejections.c.epoch_id == epoch_id)
    newest = mine.order_by(rejections.c.rejected_at.desc(), rejections.c.seq.desc())
    return sa.delete(rejections).where(
        rejections.c.epoch_id == epoch_id,
        rejections.c.seq.not_in(newest.limit(ACKED_REJECTIONS)),
    )


def missing_of_each(connection: sa.Connection, device_ids: Iterable[int]) -> dict[int, int]:
    """How many places are missing of each of these devices that misses any."""
    return _missing(connection, _GAPS.where(is_among(connection, epochs.c.device_id, device_ids)))


def missing_of_all(connection: sa.Connection) -> dict[int, int]:
    """How many places are missing of each device that misses any."""
    return _missing(connection, _GAPS)


def watermarks_of(connection: sa.Connection, device_id: int) -> dict[str, Watermark]:
    """Watermark of each outbox of a device, newest outbox first."""
    rows = connection.execute(
        sa.select(epochs.c.epoch, epochs.c.through, epochs.c.islands)
        .where(epochs.c.device_id == device_id)
        .order_by(epochs.c.id.desc()),
    )
    return {row.epoch: watermark_of(row.through, row.islands) for row in rows}


_GAPS = sa.select(epochs.c.device_id, epochs.c.through, epochs.c.islands).where(
    epochs.c.islands != _NO_ISLANDS
)


def _missing(connection: sa.Connection, query: sa.Select[int, int, str]) -> dict[int, int]:
    missing: Counter[int] = Counter()
    for device_id, through, islands in connection.execute(query):
        missing[device_id] += watermark_of(through, islands).missing
    return missing


def watermark_of(through: int, islands: str) -> Watermark:
    """Watermark of an outbox as its row has it."""
    return Watermark(through, () if islands == _NO_ISLANDS else _ISLANDS.decode(islands))


def _islands_text(watermark: Watermark) -> str:
    if not watermark.islands:
        return _NO_ISLANDS
    return msgspec.json.encode(watermark.islands).decode()
