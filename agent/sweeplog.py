"""What was measured already, so that a restart goes on and never measures twice."""

from __future__ import annotations

import logging
import sqlite3
import uuid
from dataclasses import dataclass

import msgspec

from agent.journal import Journal
from agent.logs import fields
from agent.observation import Key, Observation, Taken
from contract.benchmark import BenchRun, RunStatus

_log = logging.getLogger(__name__)

_KEPT_SWEEPS = 8
_OBSERVATION = msgspec.json.Decoder(Observation)


@dataclass(frozen=True, kw_only=True)
class SweepState:
    """One sweep as far as it got."""

    sweep_id: str
    set_id: str
    fingerprint: str
    #: Seconds since the epoch; None while runs are missing.
    finished_at: float | None
    done: frozenset[Key]
    #: Turns taken so far; empty once the sweep is finished.
    taken: tuple[Taken, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """How a bundle fared when it was last measured."""

    status: RunStatus
    reason: str | None
    #: The preparation that was fastest; None where that is not known.
    preparation: str | None


class SweepLog:
    """Record of sweeps in the agent's journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def latest(self) -> SweepState | None:
        """Return the last sweep that was begun, as far as it got."""
        with self._journal.reading() as connection:
            row = connection.execute(
                "SELECT sweep_id, set_id, fingerprint, finished_at FROM sweeps "
                "ORDER BY number DESC LIMIT 1",
            ).fetchone()
            if row is None:
                return None
            done = _done(connection, row[0])
            turns = connection.execute(
                "SELECT variant, threads, number, observation FROM turns WHERE sweep_id = ?",
                (row[0],),
            ).fetchall()
        try:
            return SweepState(
                sweep_id=row[0],
                set_id=row[1],
                fingerprint=row[2],
                finished_at=None if row[3] is None else float(row[3]),
                done=done,
                taken=tuple(
                    Taken(
                        key=(variant, threads),
                        number=number,
                        observation=_OBSERVATION.decode(observation),
                    )
                    for variant, threads, number, observation in turns
                ),
            )
        except (ValueError, TypeError, msgspec.MsgspecError) as error:
            self._forget_all(error)
            return None

    def done(self, sweep_id: str) -> frozenset[Key]:
        """Return what has a run on record in a sweep."""
        with self._journal.reading() as connection:
            return _done(connection, sweep_id)

    def begin(self, *, set_id: str, fingerprint: str) -> SweepState:
        """Begin a new sweep and forget the oldest ones."""
        sweep_id = uuid.uuid4().hex
        with self._journal.transaction() as connection:
            connection.execute(
                "INSERT INTO sweeps (sweep_id, set_id, fingerprint) VALUES (?, ?, ?)",
                (sweep_id, set_id, fingerprint),
            )
            connection.execute(
                "DELETE FROM sweeps WHERE number NOT IN "
                "(SELECT number FROM sweeps ORDER BY number DESC LIMIT ?)",
                (_KEPT_SWEEPS,),
            )
            # What an older sweep did not finish is of no use to this one.
            connection.execute("DELETE FROM turns")
        return SweepState(
            sweep_id=sweep_id,
            set_id=set_id,
            fingerprint=fingerprint,
            finished_at=None,
            done=frozenset(),
        )

    def note(self, sweep_id: str, taken: Taken) -> None:
        """Note a turn that was taken, so that a restart need not take it again."""
        variant, threads = taken.key
        with self._journal.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO turns (sweep_id, variant, threads, number, observation) "
                "VALUES (?, ?, ?, ?, ?)",
                (
                    sweep_id,
                    variant,
                    threads,
                    taken.number,
                    msgspec.json.encode(taken.observation),
                ),
            )

    def record(self, connection: sqlite3.Connection, run: BenchRun) -> None:
        """Record a run within the caller's transaction, beside its place in the outbox."""
        connection.execute(
            "INSERT OR REPLACE INTO runs "
            "(sweep_id, variant, threads, sha256, status, reason, p50_ms, preparation) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run.sweep_id,
                run.variant,
                run.threads,
                run.sha256,
                run.status.value,
                run.reason,
                run.p50_ms,
                run.preparation,
            ),
        )

    def finish(self, sweep_id: str, *, at: float) -> None:
        """State that nothing of a sweep is missing."""
        with self._journal.transaction() as connection:
            connection.execute(
                "UPDATE sweeps SET finished_at = ? WHERE sweep_id = ?",
                (at, sweep_id),
            )
            # Their runs are on record; samples of a long sweep are large.
            connection.execute("DELETE FROM turns WHERE sweep_id = ?", (sweep_id,))

    def verdict(
        self,
        sha256: str,
        *,
        fingerprint: str,
        threads: int | None = None,
    ) -> Verdict | None:
        """How a bundle fared in the last sweep of this environment that measured it.

        Well at any thread count is well; where it was well at `threads`, that is what is told.
        """
        with self._journal.reading() as connection:
            rows = connection.execute(
                "SELECT number, status, reason, preparation "
                "FROM runs JOIN sweeps USING (sweep_id) WHERE sha256 = ? AND fingerprint = ? "
                "ORDER BY number DESC, threads IS NOT ?, threads",
                (sha256, fingerprint, threads),
            ).fetchall()
        try:
            verdicts = [
                Verdict(status=RunStatus(status), reason=reason, preparation=preparation)
                for number, status, reason, preparation in rows
                if number == rows[0][0]
            ]
        except ValueError as error:
            self._forget_all(error)
            return None
        well = (verdict for verdict in verdicts if verdict.status is RunStatus.OK)
        return next(well, verdicts[0] if verdicts else None)

    def _forget_all(self, error: Exception) -> None:
        """Forget what the disk gave back damaged: all of it can be measured again."""
        _log.error("sweeps_damaged", extra=fields(error=error))
        with self._journal.transaction() as connection:
            # What refers to others goes first: damaged references do not cascade.
            for table in ("turns", "runs", "sweeps"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names


def _done(connection: sqlite3.Connection, sweep_id: str) -> frozenset[Key]:
    rows = connection.execute("SELECT variant, threads FROM runs WHERE sweep_id = ?", (sweep_id,))
    return frozenset((variant, threads) for variant, threads in rows)
