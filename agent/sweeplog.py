"""What was measured already, so that a restart goes on and never measures twice."""

from __future__ import annotations

import sqlite3
import uuid
from dataclasses import dataclass

from agent.journal import Journal
from contract.benchmark import BenchRun, RunStatus

_KEPT_SWEEPS = 8


@dataclass(frozen=True, kw_only=True)
class SweepState:
    """One sweep as far as it got."""

    sweep_id: str
    set_id: str
    fingerprint: str
    #: Seconds since the epoch; None while runs are missing.
    finished_at: float | None
    done: frozenset[tuple[str, int]]
    #: Median of the baseline by thread count.
    baselines_ms: dict[int, float]


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

    def latest(self, *, baseline: str) -> SweepState | None:
        """Return the last sweep that was begun, with the medians of `baseline`."""
        with self._journal.reading() as connection:
            row = connection.execute(
                "SELECT sweep_id, set_id, fingerprint, finished_at FROM sweeps "
                "ORDER BY number DESC LIMIT 1",
            ).fetchone()
            if row is None:
                return None
            runs = connection.execute(
                "SELECT variant, threads, p50_ms FROM runs WHERE sweep_id = ?",
                (row[0],),
            ).fetchall()
        return SweepState(
            sweep_id=row[0],
            set_id=row[1],
            fingerprint=row[2],
            finished_at=row[3],
            done=frozenset((variant, threads) for variant, threads, _ in runs),
            baselines_ms={
                threads: p50_ms
                for variant, threads, p50_ms in runs
                if variant == baseline and p50_ms is not None
            },
        )

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
        return SweepState(
            sweep_id=sweep_id,
            set_id=set_id,
            fingerprint=fingerprint,
            finished_at=None,
            done=frozenset(),
            baselines_ms={},
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
        verdicts = [
            Verdict(status=RunStatus(status), reason=reason, preparation=preparation)
            for number, status, reason, preparation in rows
            if number == rows[0][0]
        ]
        well = (verdict for verdict in verdicts if verdict.status is RunStatus.OK)
        return next(well, verdicts[0] if verdicts else None)
