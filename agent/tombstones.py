"""Stones for outbox places that will never be delivered, so that nobody waits for them."""

from __future__ import annotations

import sqlite3

import msgspec

from contract.messages import Tombstone, encode_message

_BETWEEN_REASONS = "; "


def lay_tombstone(connection: sqlite3.Connection, stone: Tombstone) -> None:
    """Put a stone in the place of what it closes, within the caller's transaction.

    Stones side by side become one that names the reasons of both: a device that drops
    results for months would fill its disk with stones.
    """
    rows = connection.execute(
        "SELECT payload FROM outbox WHERE is_tombstone AND NOT is_acked "
        "AND (last_seq = ? OR seq = ?)",
        (stone.seq - 1, stone.last_seq + 1),
    ).fetchall()
    stones = [stone, *(msgspec.json.decode(payload, type=Tombstone) for (payload,) in rows)]
    first, last = min(one.seq for one in stones), max(one.last_seq for one in stones)
    reasons = {reason for one in stones for reason in one.reason.split(_BETWEEN_REASONS)}
    merged = msgspec.structs.replace(
        stone, seq=first, last_seq=last, reason=_BETWEEN_REASONS.join(sorted(reasons))
    )
    connection.execute("DELETE FROM outbox WHERE seq BETWEEN ? AND ?", (first, last))
    connection.execute(
        "INSERT INTO outbox (seq, last_seq, payload, is_tombstone) VALUES (?, ?, ?, 1)",
        (first, last, encode_message(merged)),
    )
