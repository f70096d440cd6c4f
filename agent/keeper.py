"""Puts finished runs on the disk, whatever state the disk is in."""

from __future__ import annotations

import logging
from collections import deque

from agent.errors import JournalBrokenError, JournalError, JournalFullError
from agent.journal import Journal
from agent.logs import fields
from agent.outbox import Outbox
from agent.sweeplog import SweepLog
from contract.benchmark import BenchRun

_log = logging.getLogger(__name__)

#: Runs held in memory while the disk refuses them.
_BACKLOG_RUNS = 256
_MAKE_ROOM_TRIES = 64


class RunKeeper:
    """Stores each run once: its place in the outbox and the sweep's record in one commit."""

    def __init__(self, journal: Journal, outbox: Outbox, sweeplog: SweepLog) -> None:
        self._journal = journal
        self._outbox = outbox
        self._sweeplog = sweeplog
        self._backlog: deque[BenchRun] = deque()

    @property
    def backlog(self) -> int:
        """How many runs wait in memory for the disk."""
        return len(self._backlog)

    def keep(self, run: BenchRun) -> None:
        """Store a run, or hold it in memory until the disk takes it.

        Raises:
            JournalBrokenError: the disk will never take it; only a new start helps.
        """
        self._backlog.append(run)
        if len(self._backlog) > _BACKLOG_RUNS:
            lost = self._backlog.popleft()
            extra = fields(variant=lost.variant, threads=lost.threads, run_id=lost.run_id)
            # It is not on record as measured, so the next start measures it again.
            _log.error("run_dropped", extra=extra)
        self.flush()

    def flush(self) -> None:
        """Store what waits in memory, as far as the disk takes it now.

        Raises:
            JournalBrokenError: the disk will never take it; only a new start helps.
        """
        while self._backlog:
            run = self._backlog[0]
            try:
                seq = self._store(run)
            except JournalBrokenError:
                raise
            except JournalError as error:
                extra = fields(waiting=len(self._backlog), error=error)
                _log.error("run_not_stored", extra=extra)
                return
            self._backlog.popleft()
            _log.info(
                "run_stored",
                extra=fields(
                    variant=run.variant,
                    threads=run.threads,
                    status=run.status.value,
                    p50_ms=run.p50_ms,
                    seq=seq,
                    reason=run.reason,
                ),
            )

    def _store(self, run: BenchRun) -> int:
        for _ in range(_MAKE_ROOM_TRIES):
            try:
                with self._journal.transaction() as connection:
                    seq = self._outbox.append(connection, run)
                    self._sweeplog.record(connection, run)
                    return seq
            except JournalFullError:
                self._outbox.make_room()
        message = f"no room for a run after making room {_MAKE_ROOM_TRIES} times"
        raise JournalFullError(message)
