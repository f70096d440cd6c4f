"""The agent's database: SQLite, written so that what was committed survives a power cut."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from agent.errors import JournalError, JournalFullError
from contract.files import make_folder

_SCHEMA = 2
_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY,
    last_seq INTEGER NOT NULL,
    -- The message as it goes on the wire, so that it is the same however often it is sent.
    payload BLOB NOT NULL,
    is_tombstone INTEGER NOT NULL DEFAULT 0,
    variant TEXT,
    threads INTEGER,
    is_acked INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE sweeps (
    number INTEGER PRIMARY KEY,
    sweep_id TEXT NOT NULL UNIQUE,
    set_id TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    finished_at REAL
);
CREATE TABLE runs (
    sweep_id TEXT NOT NULL REFERENCES sweeps (sweep_id) ON DELETE CASCADE,
    variant TEXT NOT NULL,
    threads INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT,
    p50_ms REAL,
    preparation TEXT,
    PRIMARY KEY (sweep_id, variant, threads)
) WITHOUT ROWID;
"""
#: Came with schema 2.
_TURNS = """
CREATE TABLE turns (
    sweep_id TEXT NOT NULL REFERENCES sweeps (sweep_id) ON DELETE CASCADE,
    variant TEXT NOT NULL,
    threads INTEGER NOT NULL,
    number INTEGER NOT NULL,
    observation BLOB NOT NULL,
    PRIMARY KEY (sweep_id, variant, threads, number)
);
"""
_BUSY_SECONDS = 30.0


class Journal:
    """One open database, safe to use from several threads.

    Args:
        path: the file; made where it does not exist.
        limit_bytes: largest size of the file; beyond it, writing fails as on a full disk.

    Raises:
        JournalError: it cannot be opened, or was written by a later Edgewright.
    """

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        self._path = path
        self._lock = threading.RLock()
        with self._translated():
            make_folder(path.parent)
            self._connection = sqlite3.connect(
                path,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            self._prepare(limit_bytes)

    def _prepare(self, limit_bytes: int) -> None:
        execute = self._connection.execute
        execute("PRAGMA journal_mode = WAL")
        # Every commit is on the disk when it returns: results are acted on after that.
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA foreign_keys = ON")
        (page_bytes,) = execute("PRAGMA page_size").fetchone()
        execute(f"PRAGMA max_page_count = {max(1, limit_bytes // page_bytes)}")
        (version,) = execute("PRAGMA user_version").fetchone()
        if version > _SCHEMA:
            message = (
                f"{self._path}: schema {version} is newer than the schema {_SCHEMA} that this "
                "agent reads; upgrade the agent, or give it another state_dir"
            )
            raise JournalError(message)
        if version < _SCHEMA:
            tables = _TURNS if version else _TABLES + _TURNS
            script = f"BEGIN IMMEDIATE; {tables} PRAGMA user_version = {_SCHEMA}; COMMIT;"
            self._connection.executescript(script)
        columns = {name for _, name, *_ in execute("PRAGMA table_info(runs)")}
        if "preparation" not in columns:
            # No new schema: an older agent, put back after this one, works on with the column.
            execute("ALTER TABLE runs ADD COLUMN preparation TEXT")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Connection within a transaction: all of the block is on the disk afterwards, or none.

        Raises:
            JournalFullError: the disk or the given space is full; nothing was changed.
            JournalError: the database cannot be written.
        """
        with self._lock, self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Connection for queries.

        Raises:
            JournalError: the database cannot be read.
        """
        with self._lock, self._translated():
            yield self._connection

    def close(self) -> None:
        """Close the database; it must not be used afterwards."""
        with self._lock, self._translated():
            self._connection.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"{self._path}: {error.strerror}; check state_dir"
            raise JournalError(message) from error
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", None)
            if code == sqlite3.SQLITE_FULL:
                message = f"{self._path}: {error}; free some disk, or raise outbox_limit_mb"
                raise JournalFullError(message) from error
            message = f"{self._path}: {error}; check the disk, or give another state_dir"
            raise JournalError(message) from error
