"""The agent's database: SQLite, written so that what was committed survives a power cut."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from agent.errors import JournalBrokenError, JournalError, JournalFullError
from contract.files import make_folder
from edgewright.private_files import create_private

_SCHEMA = 1
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
#: No new schema: an older agent, put back after this one, works on beside these.
_LATER_TABLE = """
CREATE TABLE IF NOT EXISTS turns (
    sweep_id TEXT NOT NULL REFERENCES sweeps (sweep_id) ON DELETE CASCADE,
    variant TEXT NOT NULL,
    threads INTEGER NOT NULL,
    number INTEGER NOT NULL,
    observation BLOB NOT NULL,
    PRIMARY KEY (sweep_id, variant, threads, number)
);
"""
_LATER_COLUMNS = (("runs", "preparation", "TEXT"), ("outbox", "crc32", "INTEGER"))
_BUSY_SECONDS = 30.0
#: SQLite's extended codes tell details in their higher bits.
_PRIMARY_CODE = 0xFF
#: The last one: our statements fit our tables, unless those are not what was written.
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


class Journal:
    """One open database, safe to use from several threads.

    Args:
        path: the file; made where it does not exist.
        limit_bytes: largest size of the file; beyond it, writing fails as on a full disk.

    Raises:
        JournalBrokenError: it is damaged.
        JournalError: it cannot be opened, or was written by a later Edgewright.
    """

    def __init__(self, path: Path, *, limit_bytes: int) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._broken: str | None = None
        with self._translated():
            make_folder(path.parent)
            create_private(path)
            self._connection = sqlite3.connect(
                path,
                timeout=_BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
            )
            # Damaged text is other text, and no error: whoever reads it finds that it fits nothing.
            self._connection.text_factory = lambda text: text.decode(errors="replace")
            try:
                self._prepare(limit_bytes)
                self._identity = self._identity_on_disk()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self, limit_bytes: int) -> None:
        if condemnation_of(self._path).exists():
            raise JournalBrokenError(self._damaged("seen while the agent ran"))
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
        (verdict,) = execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise JournalBrokenError(self._damaged(verdict))
        if version == 0:
            script = f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {_SCHEMA}; COMMIT;"
            self._connection.executescript(script)
        execute(_LATER_TABLE)
        for table, column, kind in _LATER_COLUMNS:
            known = {name for _, name, *_ in execute(f"PRAGMA table_info({table})")}
            if column not in known:
                execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Connection within a transaction: all of the block is on the disk afterwards, or none.

        Raises:
            JournalFullError: the disk or the given space is full; nothing was changed.
            JournalBrokenError: the database is damaged or gone.
            JournalError: the database cannot be written.
        """
        with self._lock, self._translated():
            self._expect_whole()
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
            JournalBrokenError: the database is damaged or gone.
            JournalError: the database cannot be read.
        """
        with self._lock, self._translated():
            self._expect_whole()
            yield self._connection

    def close(self) -> None:
        """Close the database; it must not be used afterwards."""
        with self._lock, self._translated():
            self._connection.close()

    def _expect_whole(self) -> None:
        """Refuse to work on what the next start will not find.

        SQLite goes on in a file that nobody can open any more.
        """
        if self._broken is None and self._identity_on_disk() != self._identity:
            self._broken = (
                f"{self._path}: it was removed or replaced while the agent ran; "
                "start the agent again"
            )
        if self._broken is not None:
            raise JournalBrokenError(self._broken)

    def _identity_on_disk(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

    def _damaged(self, what: object) -> str:
        return (
            f"{self._path}: it is damaged ({what}); start the agent again, and it sets the file "
            "aside"
        )

    def _condemned(self, what: object) -> JournalBrokenError:
        self._broken = self._damaged(what)
        # The check at the next start need not meet the same page.
        with contextlib.suppress(OSError):
            condemnation_of(self._path).touch()
        return JournalBrokenError(self._broken)

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"{self._path}: {error.strerror}; check state_dir"
            raise JournalError(message) from error
        except sqlite3.Error as error:
            code = (getattr(error, "sqlite_errorcode", None) or 0) & _PRIMARY_CODE
            if code in _DAMAGED:
                raise self._condemned(error) from error
            if code == sqlite3.SQLITE_FULL:
                message = f"{self._path}: {error}; free some disk, or raise outbox_limit_mb"
                raise JournalFullError(message) from error
            message = f"{self._path}: {error}; check the disk, or give another state_dir"
            raise JournalError(message) from error
        except UnicodeDecodeError as error:
            # Python reads the names of columns, and SQLite's own words about them.
            raise self._condemned(error) from error


def condemnation_of(path: Path) -> Path:
    """File beside a database that says: it was found damaged, do not use it."""
    return path.with_name(f"{path.name}.condemned")
