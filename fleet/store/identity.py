"""Whether a device's identity belongs to one box with one outbox, by what the store saw.

An outbox is replaced when a disk is replaced, put back from an image, or copied to another
box. Which of these it was shows afterwards: one box never goes back to what it left, two boxes
that share an identity take turns (`fleet.store.turns`).
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from fleet.store.dialect import is_among
from fleet.store.outbox import watermark_of
from fleet.store.schema import devices, disputes, epochs

#: One return may be a message that a broker held for long; the second is another box.
_TAKING_TURNS = 2
#: What was seen last so long ago is the past: somebody has given the second box its own name.
_STANDS_S = 30 * 86_400.0


class IdentityStatus(enum.StrEnum):
    """Who goes by a device's name."""

    OK = "ok"
    #: One box, which lost its outbox and started another.
    RESET = "reset"
    #: Two boxes or more.
    CLONED = "cloned"


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What the store saw of one device's identity."""

    status: IdentityStatus = IdentityStatus.OK
    #: The newest outbox, and the one before it; None where the device has had one at most.
    outbox: str | None = None
    outbox_before: str | None = None
    #: When the newest outbox was first heard of.
    reset_at: float | None = None
    #: Places of earlier outboxes that never came.
    missing: int = 0
    #: Places for which other bytes came than are stored.
    disputed: int = 0
    #: How often an outbox, and a boot, was used again after what had replaced it.
    outbox_returns: int = 0
    boot_returns: int = 0
    returned_at: float | None = None


def identities_of(
    connection: sa.Connection, device_ids: Collection[int], *, now: float
) -> dict[int, Identity]:
    """Identity of each of these devices, in three statements however many they are.

    Args:
        connection: a view of the store.
        device_ids: numbers of devices.
        now: seconds since the epoch.
    """
    outboxes = _outboxes(connection, device_ids)
    boots = _boots(connection, device_ids)
    disputed = _disputed(connection, [one for one, rows in outboxes.items() if len(rows) > 1])
    return {
        device_id: _identity(
            outboxes.get(device_id, []),
            boots.get(device_id, (0, None)),
            disputed.get(device_id, 0),
            now,
        )
        for device_id in device_ids
    }


def _identity(
    rows: list[Any], boots: tuple[int, float | None], disputed: int, now: float
) -> Identity:
    signs = [(row.returns or 0, row.returned_at) for row in rows]
    times = [at for _, at in (*signs, boots) if at is not None]
    earlier = rows[:-1]
    found = Identity(
        outbox=rows[-1].epoch if earlier else None,
        outbox_before=earlier[-1].epoch if earlier else None,
        reset_at=rows[-1].first_seen_at if earlier else None,
        missing=sum(watermark_of(row.through, row.islands).missing for row in earlier),
        disputed=disputed,
        outbox_returns=sum(count for count, _ in signs),
        boot_returns=boots[0],
        returned_at=max(times, default=None),
    )
    return msgspec.structs.replace(found, status=_status(found, now))


def _status(found: Identity, now: float) -> IdentityStatus:
    def is_recent(at: float | None) -> bool:
        return at is not None and now - at < _STANDS_S

    takes_turns = max(found.outbox_returns, found.boot_returns) >= _TAKING_TURNS
    if takes_turns and is_recent(found.returned_at):
        return IdentityStatus.CLONED
    if found.missing or is_recent(found.reset_at):
        return IdentityStatus.RESET
    return IdentityStatus.OK


def _outboxes(connection: sa.Connection, device_ids: Collection[int]) -> dict[int, list[Any]]:
    """Outboxes of each device, oldest first."""
    rows = connection.execute(
        sa.select(epochs)
        .where(is_among(connection, epochs.c.device_id, device_ids))
        .order_by(epochs.c.id)
    )
    found: dict[int, list[Any]] = {}
    for row in rows:
        found.setdefault(row.device_id, []).append(row)
    return found


def _boots(
    connection: sa.Connection, device_ids: Collection[int]
) -> Mapping[int, tuple[int, float | None]]:
    rows = connection.execute(
        sa.select(devices.c.id, devices.c.returns, devices.c.returned_at).where(
            is_among(connection, devices.c.id, device_ids), devices.c.returns.is_not(None)
        )
    )
    return {number: (times, at) for number, times, at in rows}


def _disputed(connection: sa.Connection, device_ids: Collection[int]) -> dict[int, int]:
    rows = connection.execute(
        sa.select(epochs.c.device_id, sa.func.count().label("places"))
        .join(disputes, disputes.c.epoch_id == epochs.c.id)
        .where(is_among(connection, epochs.c.device_id, device_ids))
        .group_by(epochs.c.device_id)
    )
    return {row.device_id: row.places for row in rows}
