"""What the store holds, in numbers: for those who watch it from outside."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import sqlalchemy as sa

from fleet.store.outbox import missing_of_all
from fleet.store.schema import choices, devices, quarantine, results

_NEVER_TOLD = "unknown"


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """The store at one moment."""

    #: Highest number that a result got: how many were ever stored. PostgreSQL also counts those
    #: of transactions that failed.
    results_stored: int
    last_result_at: float | None
    #: By presence; those that never told it are `unknown`.
    devices: Mapping[str, int]
    stale_devices: int
    incomplete_devices: int
    missing_results: int
    quarantined_messages: int
    #: Those messages, each as often as it came.
    quarantined_times: int


def figures_of(connection: sa.Connection, *, stale_before: float) -> Figures:
    """The store now; a device is stale where its last sign of life is before `stale_before`."""
    newest = connection.execute(
        sa.select(results.c.id, results.c.received_at).order_by(results.c.id.desc()).limit(1)
    ).one_or_none()
    seen_at = sa.func.coalesce(devices.c.last_seen_at, devices.c.first_seen_at)
    presence = sa.select(devices.c.presence, sa.func.count()).group_by(devices.c.presence)
    missing = missing_of_all(connection)
    messages, times = connection.execute(
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(quarantine.c.times), 0))
    ).one()
    return Figures(
        results_stored=newest.id if newest else 0,
        last_result_at=newest.received_at if newest else None,
        devices={one or _NEVER_TOLD: count for one, count in connection.execute(presence)},
        stale_devices=_count(connection, devices, seen_at < stale_before),
        incomplete_devices=len(missing),
        missing_results=sum(missing.values()),
        quarantined_messages=int(messages),
        quarantined_times=int(times),
    )


def statuses_of(connection: sa.Connection) -> dict[tuple[str, str], int]:
    """How many devices have which status of the latest recommendation, by policy and status."""
    query = sa.select(choices.c.policy, choices.c.status, sa.func.count()).group_by(
        choices.c.policy, choices.c.status
    )
    return {(policy, status): count for policy, status, count in connection.execute(query)}


def _count(connection: sa.Connection, table: sa.Table, which: sa.ColumnElement[bool]) -> int:
    query = sa.select(sa.func.count()).select_from(table).where(which)
    return int(connection.scalar(query) or 0)
