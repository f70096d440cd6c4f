"""What need not be kept for ever: raw samples become roll-ups, old refused messages go.

Results are facts and stay. Work is done in batches, each in a transaction of its own, so that
no other writer waits for longer than one of them takes; between two, the caller may pause.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import sqlalchemy as sa

from fleet.store.database import Database
from fleet.store.dialect import insert_unless_there, is_among
from fleet.store.distribution import distribution_of, unpack_samples
from fleet.store.schema import quarantine, results, rollups, samples
from fleet.store.space import give_back

#: Places looked at, and at most rolled up, at a time: 16 MB where each has all its samples.
_AT_ONCE = 500


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch did: runs or messages, and the bytes that were taken from the store."""

    count: int
    bytes: int


def roll_up_samples(
    database: Database, *, before: float, now: float, dry_run: bool = False
) -> Iterator[Step]:
    """Replace the raw samples of runs that were received before a time by their roll-ups.

    Args:
        database: an open store; collectors may write to it meanwhile.
        before: seconds since the epoch, by the fleet's clock.
        now: seconds since the epoch.
        dry_run: only count.

    Yields:
        one step a batch, once it is durable.

    Raises:
        StoreUnavailableError: what was done before that stays so.
    """
    last = (0, 0)
    while True:
        with database.reading() as connection:
            looked_at, old = _old_places(connection, last, before)
            if not looked_at:
                return
            last = looked_at[-1]
            rows = _blobs(connection, old)
        if not rows:
            continue
        if not dry_run:
            # Outside of the transactions: it takes a millisecond a run.
            rolled = [_rollup(row, now) for row in rows]
            with database.writing() as connection:
                insert_unless_there(connection, rollups, rolled)
                connection.execute(sa.delete(samples).where(_is_in_places(old)))
            give_back(database)
        yield Step(count=len(rows), bytes=sum(len(row.latencies_ms) for row in rows))


def clear_quarantine(
    database: Database,
    *,
    before: float | None = None,
    keep: int | None = None,
    dry_run: bool = False,
) -> Iterator[Step]:
    """Drop refused messages that came last before a time, and all but the newest `keep`.

    Args:
        database: an open store; collectors may write to it meanwhile.
        before: seconds since the epoch, by the fleet's clock; None for no limit by age.
        keep: how many to keep; None for no limit by number.
        dry_run: only count.

    Yields:
        one step a batch, once it is durable.

    Raises:
        StoreUnavailableError: what was done before that stays so.
    """
    with database.reading() as connection:
        doomed = _doomed(connection, before, keep)
    for first in range(0, len(doomed), _AT_ONCE):
        share = doomed[first : first + _AT_ONCE]
        if not dry_run:
            with database.writing() as connection:
                among = is_among(connection, quarantine.c.id, [number for number, _ in share])
                connection.execute(sa.delete(quarantine).where(among))
            give_back(database)
        yield Step(count=len(share), bytes=sum(size for _, size in share))


def _old_places(
    connection: sa.Connection, after: tuple[int, int], before: float
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Next places with samples, and those of them that were received before a time."""
    page = (
        sa.select(samples.c.epoch_id, samples.c.seq)
        .where(sa.tuple_(samples.c.epoch_id, samples.c.seq) > sa.tuple_(*after))
        .order_by(samples.c.epoch_id, samples.c.seq)
        .limit(_AT_ONCE)
        .subquery()
    )
    rows = connection.execute(
        sa.select(page.c.epoch_id, page.c.seq, results.c.received_at)
        .outerjoin(
            results,
            sa.and_(results.c.epoch_id == page.c.epoch_id, results.c.seq == page.c.seq),
        )
        .order_by(page.c.epoch_id, page.c.seq)
    ).all()
    looked_at = [(epoch_id, seq) for epoch_id, seq, _ in rows]
    return looked_at, [
        (epoch_id, seq) for epoch_id, seq, at in rows if at is not None and at < before
    ]


def _blobs(
    connection: sa.Connection, places: list[tuple[int, int]]
) -> list[sa.Row[tuple[int, int, bytes]]]:
    if not places:
        return []
    return list(connection.execute(sa.select(samples).where(_is_in_places(places))).all())


def _is_in_places(places: list[tuple[int, int]]) -> sa.ColumnElement[bool]:
    return sa.tuple_(samples.c.epoch_id, samples.c.seq).in_(places)


def _rollup(row: sa.Row[tuple[int, int, bytes]], now: float) -> dict[str, object]:
    figures = msgspec.structs.asdict(distribution_of(unpack_samples(row.latencies_ms)))
    return {"epoch_id": row.epoch_id, "seq": row.seq, "rolled_up_at": now, **figures}


def _doomed(
    connection: sa.Connection, before: float | None, keep: int | None
) -> list[tuple[int, int]]:
    """Numbers and kept bytes of the messages to drop."""
    query = sa.select(
        quarantine.c.id, sa.func.length(quarantine.c.payload), quarantine.c.last_at
    ).order_by(quarantine.c.last_at.desc(), quarantine.c.id.desc())
    rows = connection.execute(query)
    return [
        (number, size)
        for place, (number, size, last_at) in enumerate(rows)
        if (before is not None and last_at < before) or (keep is not None and place >= keep)
    ]
