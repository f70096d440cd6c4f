"""Runs that a device may bring once more, from another outbox than before.

A device whose disk was restored or replaced sends again, from a new outbox, what it cannot
know to be stored. Most devices keep their first outbox for ever, and take no part in this.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import sqlalchemy as sa

from fleet.store.dialect import insert_unless_there, is_among, pairs
from fleet.store.schema import epochs, repeatable, results

#: Number of a device, and id of a run.
RunKey = tuple[int, str]
#: Number of an outbox, and the run without its samples as it is stored.
Brought = tuple[int, str]

#: Agents give their runs 32 digits. A longer id stands here as its digest: PostgreSQL's index
#: holds no key over 2,704 bytes.
_LONGEST_RUN_ID = 64


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
        rows = [
            {
                "device_id": device_id,
                "run_id": _key(run_id),
                "epoch_id": epoch_id,
                "seq": seq,
            }
            for device_id, run_id, epoch_id, seq in runs
        ]
        insert_unless_there(connection, repeatable, rows)


def brought_before(
    connection: sa.Connection, keys: Collection[RunKey]
) -> dict[RunKey, list[Brought]]:
    """Which outboxes have brought these runs already, and what is stored of them."""
    if not keys:
        return {}
    by_key = {
        (device_id, text): (device_id, run_id)
        for device_id, run_id in keys
        # Rows of before have long ids as they are.
        for text in (run_id, _key(run_id))
    }
    wanted = pairs(connection, by_key, sa.BigInteger(), sa.Text())
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
    for device_id, key, epoch_id, text in rows:
        found.setdefault(by_key[device_id, key], []).append((epoch_id, text))
    return found


def _key(run_id: str) -> str:
    """A run's id as it stands in the index."""
    if len(run_id) <= _LONGEST_RUN_ID:
        return run_id
    return hashlib.sha256(run_id.encode()).hexdigest()
