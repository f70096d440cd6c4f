"""What happened lately, in few columns: for those who watch the whole fleet."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import sqlalchemy as sa

from contract.messages import Desired
from fleet.choosing.decision import Ref, Status
from fleet.store.catalogue import builds_of
from fleet.store.dialect import is_among
from fleet.store.schema import decisions, desired, devices

_DESIRED = msgspec.json.Decoder(Desired)


class DecisionMade(msgspec.Struct, frozen=True, kw_only=True):
    """One stored decision, in short."""

    site: str
    device: str
    policy: str
    decision_id: int
    decided_at: float
    status: Status
    pick: Ref | None


def decisions_numbered(connection: sa.Connection, numbers: Collection[int]) -> list[DecisionMade]:
    """The decisions of these numbers, in their order."""
    rows = connection.execute(
        sa.select(
            decisions.c.id,
            devices.c.site,
            devices.c.device,
            decisions.c.policy,
            decisions.c.decided_at,
            decisions.c.status,
            decisions.c.build_id,
            decisions.c.threads,
        )
        .join(devices, devices.c.id == decisions.c.device_id)
        .where(is_among(connection, decisions.c.id, numbers))
        .order_by(decisions.c.id)
    ).all()
    builds = builds_of(connection, {row.build_id for row in rows} - {None})
    return [
        DecisionMade(
            site=row.site,
            device=row.device,
            policy=row.policy,
            decision_id=row.id,
            decided_at=row.decided_at,
            status=Status(row.status),
            pick=None if row.build_id is None else Ref(builds[row.build_id].variant, row.threads),
        )
        for row in rows
    ]


def presence_of_each(connection: sa.Connection) -> dict[int, str]:
    """Presence of every device that has told it, by number; read from the index alone."""
    query = sa.select(devices.c.id, devices.c.presence).where(devices.c.presence.is_not(None))
    return {number: str(presence) for number, presence in connection.execute(query)}


def names_of(connection: sa.Connection, numbers: Collection[int]) -> dict[int, tuple[str, str]]:
    """Site and name of each of these devices."""
    query = sa.select(devices.c.id, devices.c.site, devices.c.device).where(
        is_among(connection, devices.c.id, numbers)
    )
    return {row.id: (row.site, row.device) for row in connection.execute(query)}


class Generations:
    """Newest generation of each device's desired state; reads them when some were added."""

    def __init__(self) -> None:
        self._count = -1

    def read(self, connection: sa.Connection) -> dict[tuple[str, str], int] | None:
        """Generation by site and device; None where it is as at the last call."""
        count = connection.scalar(sa.select(sa.func.count()).select_from(desired)) or 0
        if count == self._count:
            return None
        self._count = count
        rows = connection.execute(
            sa.select(desired.c.site, desired.c.device, sa.func.max(desired.c.generation)).group_by(
                desired.c.site, desired.c.device
            )
        )
        return {(site, device): generation for site, device, generation in rows}


def desired_at(
    connection: sa.Connection, site: str, device: str, generation: int
) -> Desired | None:
    """A desired state; None where it is gone."""
    message = connection.scalar(
        sa.select(desired.c.message).where(
            desired.c.site == site,
            desired.c.device == device,
            desired.c.generation == generation,
        )
    )
    return None if message is None else _DESIRED.decode(message)
