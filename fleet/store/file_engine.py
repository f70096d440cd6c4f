"""A store in a file: how SQLite opens it, and notices that it is no more what was opened."""

from __future__ import annotations

import functools
import sqlite3
import stat
from pathlib import Path

import sqlalchemy as sa

from contract.files import make_folder
from edgewright.private_files import create_private
from fleet.errors import StoreDamagedError, StoreError, StoreMissingError

#: Another process holds the write lock for one batch; far longer means that it hangs.
_LOCK_PATIENCE_S = 30
#: Pages that SQLite keeps in memory. Its own 2 MB do not hold the indexes of a million results,
#: whose pages it then reads anew for every row.
_CACHE_KIB = 64 * 1024
#: Pages in the log before they are copied into the file: 32 MB. Pages of an index change with
#: every batch; the longer they stay in the log, the fewer of their versions are copied.
_LOG_PAGES = 8_000
#: Marks connections that are going to write.
WRITES = "edgewright_writes"
#: Marks connections without transactions.
BARE = "edgewright_bare"
#: Which file a connection of SQLite's is to.
_FILE = "edgewright_file"
#: Its log, as it was when the connection was used last.
_LOG = "edgewright_log"


def file_engine(parsed: sa.URL, *, create: bool) -> sa.Engine:
    """An engine for SQLite's file; one that is not there yet is made at the first connection.

    Raises:
        StoreMissingError: there is none and `create` is false.
        StoreError: it is no file, or this user may not look.
    """
    path = Path(str(parsed.database))
    is_new = not _is_there(path)
    if is_new:
        if not create:
            message = (
                f"no fleet store at {path}; start 'edgewright-fleet serve' to make one, or name "
                "another with --db"
            )
            raise StoreMissingError(message)
        try:
            make_folder(path.parent)
        except OSError as error:
            message = f"{path.parent}: {error.strerror}; name another place with --db"
            raise StoreError(message) from error
    engine = sa.create_engine(parsed, connect_args={"timeout": _LOCK_PATIENCE_S})
    if is_new:
        # Not before: a restore looks whether a file is there after it made its engine.
        make = functools.partial(_make_file, path)
        sa.event.listen(engine, "do_connect", make, once=True)
        sa.event.listen(engine, "connect", _let_shrink, once=True)
    sa.event.listen(engine, "connect", functools.partial(_note_file, path))
    sa.event.listen(engine, "checkout", functools.partial(_expect_same_file, path))
    sa.event.listen(engine, "checkin", functools.partial(_note_log, path))
    sa.event.listen(engine, "connect", _set_pragmas)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _make_file(path: Path, *_: object) -> None:
    """Create a new store's file for this user alone: what devices say is nobody else's business.

    Raises:
        StoreError: it cannot be created.
    """
    try:
        create_private(path)
    except OSError as error:
        message = f"{path}: {error.strerror}; name another place with --db"
        raise StoreError(message) from error


def _is_there(path: Path) -> bool:
    """Whether a store's file exists.

    Raises:
        StoreError: it is no file, or this user may not look.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        message = f"{path}: {error.strerror}; name another place with --db"
        raise StoreError(message) from error
    if stat.S_ISDIR(mode):
        message = f"{path}: expected a file, got a folder; name a file in it with --db"
        raise StoreError(message)
    return True


def _let_shrink(connection: sqlite3.Connection, _record: object) -> None:
    # Only a file without any table takes it; in others it would wait for the write lock.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")


def _note_file(path: Path, _connection: object, record: sa.pool.ConnectionPoolEntry) -> None:
    record.info[_FILE] = _identity_of(path)


def _expect_same_file(
    path: Path, _connection: object, record: sa.pool.ConnectionPoolEntry, _proxy: object
) -> None:
    """Refuse to go on in a file that nobody can open any more: what is stored in it is lost.

    Raises:
        StoreDamagedError: the file was removed, or another one took its place.
    """
    if record.info[_FILE] != _identity_of(path):
        message = f"{path}: the store was removed or replaced while it was in use; start again"
        raise StoreDamagedError(message)
    # SQLite's log is there, and never shrinks, as long as a connection is open.
    before, now = record.info.get(_LOG), _log_of(path)
    if before is not None and (now is None or now[0] != before[0] or now[1] < before[1]):
        message = (
            f"{path}-wal: the store's log was removed or cut while it was in use, and with it "
            "what was stored last; restore a backup, or start again with what is left"
        )
        raise StoreDamagedError(message)


def _note_log(path: Path, _connection: object, record: sa.pool.ConnectionPoolEntry) -> None:
    record.info[_LOG] = _log_of(path)


def _log_of(path: Path) -> tuple[int, int] | None:
    """Number and size of the log beside a store; None where there is none."""
    try:
        found = path.with_name(f"{path.name}-wal").stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size


def _identity_of(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    # SQLAlchemy's begin event issues BEGIN; the driver must not issue its own.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    # An acknowledged result must outlive a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")


def _begin(connection: sa.Connection) -> None:
    options = connection.get_execution_options()
    if options.get(BARE, False):
        return
    writes = options.get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
