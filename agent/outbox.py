"""Results on their way to the fleet, kept until the fleet says that it stored them.

Every result gets the next place (`seq`) of this outbox (`epoch`). Only the fleet's `ack`
frees a place; acknowledged results stay a while, for a fleet restored from a backup asks
for them again by acknowledging less than before.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sqlite3
import uuid
import zlib
from collections.abc import Collection

import msgspec

from agent.errors import JournalBrokenError, JournalFullError
from agent.journal import Journal
from agent.logs import fields
from agent.tombstones import lay_tombstone
from contract.benchmark import BenchRun
from contract.messages import EpochAck, Result, Tombstone, encode_message

_log = logging.getLogger(__name__)

#: About 20 MB of runs with all their samples.
_KEPT_ACKED = 512
#: Some at a time, so that a full outbox is not swept for every single result.
_DROPPED_AT_ONCE = 8
#: An outbox is given up at most once in so long: each one stays in the fleet's store.
_GIVEN_UP_EVERY_S = 86_400.0
_EPOCH = re.compile("[0-9a-f]{32}")


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """One message to send, exactly as it was sent before."""

    seq: int
    payload: bytes


class Outbox:
    """The outbox of one device.

    Args:
        journal: where it is kept.
        site: the device's site, as the messages state it.
        device: the device.

    Raises:
        JournalBrokenError: what it says of itself does not fit what is in it.
    """

    def __init__(self, journal: Journal, *, site: str, device: str) -> None:
        self._journal = journal
        self._site = site
        self._device = device
        with journal.transaction() as connection:
            if _meta(connection, "epoch") is None:
                _start_epoch(connection)
            _expect_sound(connection)

    @property
    def epoch(self) -> str:
        """Name of this outbox; another one means that places are counted anew."""
        with self._journal.reading() as connection:
            return _meta(connection, "epoch") or ""

    def append(self, connection: sqlite3.Connection, run: BenchRun) -> int:
        """Put a run into the next place, within the caller's transaction; returns the place.

        Raises:
            MessageError: the run is too large for the wire.
        """
        seq = int(_meta(connection, "next_seq") or 1)
        self._insert(connection, seq, run)
        _set_meta(connection, "next_seq", str(seq + 1))
        return seq

    def pending(self, limit: int, *, besides: Collection[int] = ()) -> list[Parcel]:
        """Oldest messages that the fleet has not acknowledged, at most `limit`.

        Args:
            limit: how many at most.
            besides: places to leave out, for they are on their way already.
        """
        with self._journal.reading() as connection:
            rows = connection.execute(
                "SELECT seq, payload, crc32 FROM outbox WHERE NOT is_acked ORDER BY seq LIMIT ?",
                (limit + len(besides),),
            ).fetchall()
        damaged = [seq for seq, payload, crc32 in rows if not is_whole(payload, crc32)]
        if damaged:
            self._give_up(damaged)
            return self.pending(limit, besides=besides)
        found = [Parcel(seq=seq, payload=payload) for seq, payload, _ in rows]
        return [parcel for parcel in found if parcel.seq not in besides][:limit]

    def unacknowledged(self) -> int:
        """How many messages the fleet has not acknowledged."""
        with self._journal.reading() as connection:
            count: int = connection.execute(
                "SELECT count(*) FROM outbox WHERE NOT is_acked",
            ).fetchone()[0]
            return count

    def acknowledge(self, ack: EpochAck) -> None:
        """Take the fleet's word for what is stored; less than before means: send it again.

        An acknowledgement of what this outbox did not send comes from results that it forgot
        (its disk was restored) or never had (its disk was copied to another box): it then
        starts a new epoch, lest two results share a place.
        """
        with self._journal.transaction() as connection:
            if self._is_of_another(connection, ack):
                self._start_over(connection, ack.through)
                return
            before = int(_meta(connection, "through") or 0)
            self._report_rejections(connection, ack)
            rejected = msgspec.json.encode([rejection.seq for rejection in ack.rejected])
            connection.execute(
                "UPDATE outbox SET is_acked = "
                "(last_seq <= ? OR seq IN (SELECT value FROM json_each(?)))",
                (ack.through, rejected.decode()),
            )
            if ack.through < before:
                extra = fields(was=before, through=ack.through)
                _log.warning("acknowledgement_fell_back", extra=extra)
                self._close_forgotten(connection, ack.through)
            _set_meta(connection, "through", str(ack.through))
            _forget_acked(connection, ack.through, keep=_KEPT_ACKED)

    def give_up(self, *, now: float) -> bool:
        """Start a new epoch with what the fleet has not acknowledged; whether it was done.

        For an outbox that the fleet does not name any more. At most once a day, by the device's
        clock.

        Args:
            now: seconds since the epoch.
        """
        with self._journal.transaction() as connection:
            before = float(_meta(connection, "given_up_at") or "-inf")
            # A clock may have been set since, either way.
            if abs(now - before) < _GIVEN_UP_EVERY_S:
                return False
            _log.warning("outbox_given_up", extra=fields(reason="the fleet names others only"))
            connection.execute("DELETE FROM outbox WHERE is_acked")
            self._move_to_new_epoch(connection)
            _set_meta(connection, "given_up_at", repr(now))
            return True

    def make_room(self) -> None:
        """Drop what is needed least: acknowledged, then superseded, then oldest results.

        What the fleet never got leaves a tombstone in its place, one for a whole range.

        Raises:
            JournalFullError: there is nothing left to drop, or not even room for that.
        """
        with self._journal.transaction() as connection:
            through = int(_meta(connection, "through") or 0)
            (acked,) = connection.execute(
                "SELECT count(*) FROM outbox WHERE last_seq <= ?", (through,)
            ).fetchone()
            if acked:
                _forget_acked(connection, through, keep=acked // 2)
                return
            doomed = _least_needed(connection)
            if not doomed:
                message = "the outbox holds nothing that could be dropped; free some disk"
                raise JournalFullError(message)
            for seq, variant, threads, is_superseded in doomed:
                why = "superseded" if is_superseded else "oldest"
                self._close(connection, seq, seq, f"outbox full, {why} dropped")
                extra = fields(seq=seq, variant=variant, threads=threads, why=why)
                _log.warning("result_dropped", extra=extra)

    def _give_up(self, damaged: Collection[int]) -> None:
        """Close the places of messages that the disk gave back otherwise than they were written."""
        with self._journal.transaction() as connection:
            for seq in damaged:
                (last_seq,) = connection.execute(
                    "SELECT last_seq FROM outbox WHERE seq = ?", (seq,)
                ).fetchone()
                self._close(connection, seq, last_seq, "damaged on the device's disk")
                _log.error("result_damaged", extra=fields(seq=seq))

    def _is_of_another(self, connection: sqlite3.Connection, ack: EpochAck) -> bool:
        if ack.through >= int(_meta(connection, "next_seq") or 1):
            return True
        for place in ack.stored:
            mine = connection.execute(
                "SELECT payload, crc32 FROM outbox WHERE seq = ? AND NOT is_tombstone",
                (place.seq,),
            ).fetchone()
            if (
                mine is not None
                and is_whole(*mine)
                and hashlib.sha256(mine[0]).hexdigest() != place.sha256
            ):
                return True
        return False

    def _insert(self, connection: sqlite3.Connection, seq: int, run: BenchRun) -> None:
        epoch = _meta(connection, "epoch") or ""
        result = Result(site=self._site, device=self._device, epoch=epoch, seq=seq, run=run)
        payload = encode_message(result)
        connection.execute(
            "INSERT INTO outbox (seq, last_seq, payload, variant, threads, crc32) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (seq, seq, payload, run.variant, run.threads, zlib.crc32(payload)),
        )

    def _close(self, connection: sqlite3.Connection, seq: int, last_seq: int, reason: str) -> None:
        stone = Tombstone(
            site=self._site,
            device=self._device,
            epoch=_meta(connection, "epoch") or "",
            seq=seq,
            last_seq=last_seq,
            reason=reason,
        )
        lay_tombstone(connection, stone)

    def _report_rejections(self, connection: sqlite3.Connection, ack: EpochAck) -> None:
        for rejection in ack.rejected:
            is_new = connection.execute(
                "SELECT 1 FROM outbox WHERE seq = ? AND NOT is_acked",
                (rejection.seq,),
            ).fetchone()
            if is_new:
                extra = fields(seq=rejection.seq, reason=rejection.reason)
                _log.error("result_rejected", extra=extra)

    def _close_forgotten(self, connection: sqlite3.Connection, through: int) -> None:
        """Leave a tombstone for places that the fleet lost and this outbox no longer keeps."""
        (first_kept,) = connection.execute("SELECT min(seq) FROM outbox").fetchone()
        last_lost = int(first_kept or _meta(connection, "next_seq") or 1) - 1
        if last_lost > through:
            reason = "acknowledged before, and no longer kept on the device"
            self._close(connection, through + 1, last_lost, reason)

    def _start_over(self, connection: sqlite3.Connection, through: int) -> None:
        _log.warning("outbox_of_another_history", extra=fields(through=through))
        # What was acknowledged may have been another's; the fleet knows its own runs by their id.
        self._move_to_new_epoch(connection)

    def _move_to_new_epoch(self, connection: sqlite3.Connection) -> None:
        """Count the places of all results anew, in an outbox of another name."""
        kept = connection.execute(
            "SELECT seq, payload, crc32 FROM outbox WHERE NOT is_tombstone ORDER BY seq",
        ).fetchall()
        connection.execute("DELETE FROM outbox")
        _start_epoch(connection)
        for seq, payload, crc32 in kept:
            if not is_whole(payload, crc32):
                _log.error("result_damaged", extra=fields(seq=seq))
                continue
            self.append(connection, msgspec.json.decode(payload, type=Result).run)


def is_whole(payload: bytes, crc32: int | None) -> bool:
    """Whether a message is as it was written; one of an agent that took no note of that is."""
    return crc32 is None or zlib.crc32(payload) == crc32


def _least_needed(connection: sqlite3.Connection) -> list[tuple[int, str, int, bool]]:
    """Superseded results, oldest first; where there are none, the oldest result."""
    rows = connection.execute(
        """
        SELECT seq, variant, threads, EXISTS (
            SELECT 1 FROM outbox AS newer WHERE NOT newer.is_tombstone
            AND newer.seq > outbox.seq AND newer.variant = outbox.variant
            AND newer.threads = outbox.threads
        ) AS is_superseded
        FROM outbox WHERE NOT is_tombstone ORDER BY is_superseded DESC, seq LIMIT ?
        """,
        (_DROPPED_AT_ONCE,),
    ).fetchall()
    return [row for row in rows if row[3]] or rows[:1]


def _forget_acked(connection: sqlite3.Connection, through: int, *, keep: int) -> None:
    """Forget the oldest of the places up to `through`, so that the rest has no holes."""
    connection.execute(
        "DELETE FROM outbox WHERE last_seq <= ? AND seq NOT IN "
        "(SELECT seq FROM outbox WHERE last_seq <= ? ORDER BY seq DESC LIMIT ?)",
        (through, through, keep),
    )


def _expect_sound(connection: sqlite3.Connection) -> None:
    """Find damage that no database sees: a place counted wrong would stop the fleet's count."""
    epoch, next_seq, through = (_meta(connection, key) for key in ("epoch", "next_seq", "through"))
    last = connection.execute(
        "SELECT last_seq, payload FROM outbox ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    is_sound = (
        epoch is not None
        and _EPOCH.fullmatch(epoch) is not None
        and all(text is not None and text.isdecimal() for text in (next_seq, through))
    )
    if is_sound and last is not None:
        is_sound = last[0] + 1 == int(next_seq or 0) and f'"{epoch}"'.encode() in last[1]
    if not is_sound:
        message = f"outbox '{epoch}' does not fit its last message; it is damaged"
        raise JournalBrokenError(message)


def _start_epoch(connection: sqlite3.Connection) -> None:
    _set_meta(connection, "epoch", uuid.uuid4().hex)
    _set_meta(connection, "next_seq", "1")
    _set_meta(connection, "through", "0")


def _meta(connection: sqlite3.Connection, key: str) -> str | None:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def _set_meta(connection: sqlite3.Connection, key: str, value: str) -> None:
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))
