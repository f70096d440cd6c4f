"""What is safe of each device's outboxes, as the fleet tells it to them."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa

from contract.messages import Ack, EpochAck, Rejection, StoredPlace
from fleet.store.dialect import is_among
from fleet.store.schema import devices, disputes, epochs, rejections, results

#: An ack is one retained message: it names the newest outboxes and rejections only.
_ACKED_EPOCHS = 8
ACKED_REJECTIONS = 50
_ACKED_DISPUTES = 16


def acks_of(connection: sa.Connection, device_ids: Iterable[int], at: float) -> list[Ack]:
    """What is safe of each of these devices' outboxes, ready to publish."""
    wanted = sorted(device_ids)
    names = _names(connection, wanted)
    marks = _newest_outboxes(connection, wanted)
    rejected = _newest_rejections(connection, wanted)
    stored = _comparable(connection, wanted)
    acks = []
    for device_id in wanted:
        site, device = names[device_id]
        acks.append(
            Ack(
                site=site,
                device=device,
                at=at,
                epochs={
                    epoch: EpochAck(
                        through=through,
                        stored=stored.get(epoch_id, []),
                        rejected=rejected.get(epoch_id, []),
                    )
                    for epoch_id, epoch, through in marks.get(device_id, [])
                },
            )
        )
    return acks


def _names(connection: sa.Connection, device_ids: list[int]) -> dict[int, tuple[str, str]]:
    rows = connection.execute(
        sa.select(devices.c.id, devices.c.site, devices.c.device).where(
            is_among(connection, devices.c.id, device_ids)
        )
    )
    return {row.id: (row.site, row.device) for row in rows}


def _newest_outboxes(
    connection: sa.Connection, device_ids: list[int]
) -> dict[int, list[tuple[int, str, int]]]:
    """Number, name and last place without a gap of each device's newest outboxes."""
    rows = connection.execute(
        sa.select(epochs.c.device_id, epochs.c.id, epochs.c.epoch, epochs.c.through)
        .where(is_among(connection, epochs.c.device_id, device_ids))
        .order_by(epochs.c.id.desc())
    )
    found: dict[int, list[tuple[int, str, int]]] = {}
    for row in rows:
        mine = found.setdefault(row.device_id, [])
        if len(mine) < _ACKED_EPOCHS:
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
