"""Runs that a device may bring once more, from another outbox than before.

A device whose disk was restored or replaced sends again, from a new outbox, what it cannot
know to be stored. Most devices keep their first outbox for ever, and take no part in this.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa

from fleet.store.dialect import insert_unless_there, is_among, pairs
from fleet.store.schema import epochs, repeatable, results

#: Number of a device, and id of a run.
RunKey = tuple[int, str]
#: Number of an outbox, and the run without its samples as it is stored.
Brought = tuple[int, str]


def expect_repeats(connection: sa.Connection, device_ids: Collection[int]) -> None:
    """From now on, runs of these devices are recognised: they have just got another outbox."""
    if not device_ids:
        return
    rows = connection.execute(
        sa.select(epochs.c.device_id, results.c.run_id, results.c.epoch_id, results.c.seq)
        .join(epochs, epochs.c.id == results.c.epoch_id)
        .where(is_among(connection, epochs.c.device_id, device_ids))
    ).all()
    note_runs(connection, [tuple(row) for row in rows])


def note_runs(connection: sa.Connection, runs: Sequence[tuple[int, str, int, int]]) -> None:
    """Note stored runs of such devices: device, run, outbox and place."""
    if runs:
        names = ("device_id", "run_id", "epoch_id", "seq")
        rows = [dict(zip(names, run, strict=True)) for run in runs]
        insert_unless_there(connection, repeatable, rows)


def brought_before(
    connection: sa.Connection, keys: Collection[RunKey]
) -> dict[RunKey, list[Brought]]:
    """Which outboxes have brought these runs already, and what is stored of them."""
    if not keys:
        return {}
    wanted = pairs(connection, keys, sa.BigInteger(), sa.Text())
    rows = connection.execute(
        sa.select(repeatable.c.device_id, repeatable.c.run_id, repeatable.c.epoch_id, results.c.run)
        .join(
            results,
            sa.and_(results.c.epoch_id == repeatable.c.epoch_id, results.c.seq == repeatable.c.seq),
        )
        .join(
            wanted,
            sa.and_(
                wanted.c.first == repeatable.c.device_id, wanted.c.second == repeatable.c.run_id
            ),
        )
    ).all()
    found: dict[RunKey, list[Brought]] = {}
    for device_id, run_id, epoch_id, text in rows:
        found.setdefault((device_id, run_id), []).append((epoch_id, text))
    return found
