"""What is safe of each device's outboxes, as the fleet tells it to them."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable

import msgspec
import sqlalchemy as sa

from contract.messages import MAX_MESSAGE_BYTES, Ack, EpochAck, Rejection, StoredPlace
from fleet.store.dialect import is_among
from fleet.store.schema import devices, disputes, epochs, rejections, results

#: An ack names those outboxes of a device that are in use: what came lately of others is enough.
_RECENT_OUTBOXES = 8
ACKED_REJECTIONS = 50
_ACKED_DISPUTES = 16
#: Leaves room for the rest of the message.
_MOST_BYTES = MAX_MESSAGE_BYTES - 1024


def acks_of(
    connection: sa.Connection,
    device_ids: Iterable[int],
    at: float,
    *,
    named_first: Collection[int] = (),
) -> list[Ack]:
    """What is safe of each of these devices' outboxes, ready to publish.

    An ack is one retained message: it names the outboxes that were used last, and no more than
    fit into it.

    Args:
        connection: a view of the store.
        device_ids: numbers of devices.
        at: seconds since the epoch.
        named_first: numbers of outboxes that are named whatever else was used since: something
            came of them just now, and their device waits for the answer.
    """
    wanted = sorted(device_ids)
    names = _names(connection, wanted)
    marks = _outboxes_in_use(connection, wanted, named_first)
    rejected = _newest_rejections(connection, wanted)
    stored = _comparable(connection, wanted)
    acks = []
    for device_id in wanted:
        site, device = names[device_id]
        outboxes = {
            epoch: EpochAck(
                through=through,
                stored=stored.get(epoch_id, []),
                rejected=rejected.get(epoch_id, []),
            )
            for epoch_id, epoch, through in marks.get(device_id, [])
        }
        acks.append(Ack(site=site, device=device, at=at, epochs=_as_fit(outboxes)))
    return acks


def _as_fit(outboxes: dict[str, EpochAck]) -> dict[str, EpochAck]:
    """The first of these outboxes, as many as one message holds."""
    if len(outboxes) <= _RECENT_OUTBOXES:
        return outboxes
    sizes = (len(msgspec.json.encode({epoch: ack})) for epoch, ack in outboxes.items())
    ends = itertools.accumulate(sizes)
    return {
        epoch: ack
        for (epoch, ack), end in zip(outboxes.items(), ends, strict=True)
        if end <= _MOST_BYTES
    }


def _names(connection: sa.Connection, device_ids: list[int]) -> dict[int, tuple[str, str]]:
    rows = connection.execute(
        sa.select(devices.c.id, devices.c.site, devices.c.device).where(
            is_among(connection, devices.c.id, device_ids)
        )
    )
    return {row.id: (row.site, row.device) for row in rows}


def _outboxes_in_use(
    connection: sa.Connection, device_ids: list[int], named_first: Collection[int]
) -> dict[int, list[tuple[int, str, int]]]:
    """Number, name and last place without a gap of outboxes, the one used last first.

    Those of `named_first` come before all others, and besides them as many as are named anyway.
    """
    rows = connection.execute(
        sa.select(
            epochs.c.device_id,
            epochs.c.id,
            epochs.c.epoch,
            epochs.c.through,
            sa.func.coalesce(epochs.c.advanced_at, epochs.c.first_seen_at).label("used_at"),
        ).where(is_among(connection, epochs.c.device_id, device_ids))
    ).all()
    first = frozenset(named_first)
    found: dict[int, list[tuple[int, str, int]]] = {}
    for row in sorted(rows, key=lambda row: (row.id in first, row.used_at, row.id), reverse=True):
        mine = found.setdefault(row.device_id, [])
        if row.id in first or len(mine) < _RECENT_OUTBOXES:
            mine.append((row.id, row.epoch, row.through))
    return found


def _newest_rejections(
    connection: sa.Connection, device_ids: list[int]
) -> dict[int, list[Rejection]]:
    """Newest rejections of each device, by outbox and in the order of their places."""
    newest = (
        sa.func.row_number()
        .over(
            partition_by=epochs.c.device_id,
            order_by=(rejections.c.rejected_at.desc(), rejections.c.seq.desc()),
        )
        .label("place")
    )
    ranked = (
        sa.select(rejections.c.epoch_id, rejections.c.seq, rejections.c.reason, newest)
        .join(epochs, epochs.c.id == rejections.c.epoch_id)
        .where(is_among(connection, epochs.c.device_id, device_ids))
        .subquery()
    )
    rows = connection.execute(
        sa.select(ranked).where(ranked.c.place <= ACKED_REJECTIONS).order_by(ranked.c.seq)
    )
    found: dict[int, list[Rejection]] = {}
    for row in rows:
        found.setdefault(row.epoch_id, []).append(Rejection(seq=row.seq, reason=row.reason))
    return found


def _comparable(connection: sa.Connection, device_ids: list[int]) -> dict[int, list[StoredPlace]]:
    """What is stored in the places that devices should compare with their own, by outbox.

    They are the last place without a gap, and those for which other bytes came lately.
    """
    last = (
        sa.select(results.c.epoch_id, results.c.seq, results.c.body_sha256)
        .join(
            epochs,
            sa.and_(epochs.c.id == results.c.epoch_id, epochs.c.through == results.c.seq),
        )
        .where(is_among(connection, epochs.c.device_id, device_ids))
    )
    newest = (
        sa.func.row_number()
        .over(
            partition_by=epochs.c.device_id,
            order_by=(disputes.c.last_at.desc(), disputes.c.seq.desc()),
        )
        .label("place")
    )
    ranked = (
        sa.select(disputes.c.epoch_id, disputes.c.seq, newest)
        .join(epochs, epochs.c.id == disputes.c.epoch_id)
        .where(is_among(connection, epochs.c.device_id, device_ids))
        .subquery()
    )
    disputed = (
        sa.select(results.c.epoch_id, results.c.seq, results.c.body_sha256)
        .join(
            ranked,
            sa.and_(ranked.c.epoch_id == results.c.epoch_id, ranked.c.seq == results.c.seq),
        )
        .where(ranked.c.place <= _ACKED_DISPUTES)
    )
    rows = connection.execute(sa.union(last, disputed))
    found: dict[int, list[StoredPlace]] = {}
    for row in sorted(rows, key=lambda row: (row.epoch_id, row.seq)):
        place = StoredPlace(seq=row.seq, sha256=row.body_sha256)
        found.setdefault(row.epoch_id, []).append(place)
    return found
