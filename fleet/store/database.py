"""The store's database: opened, upgraded, and used in transactions."""

from __future__ import annotations

import contextlib
import functools
import math
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from contract.files import make_folder
from edgewright.private_files import create_private
from fleet.errors import (
    AddressError,
    StoreDamagedError,
    StoreError,
    StoreMissingError,
)
from fleet.store.failures import translated
from fleet.store.schema import facts
from fleet.store.upgrade import upgrade

#: Another process holds the write lock for one batch; far longer means that it hangs.
_LOCK_PATIENCE_S = 30
_CONNECT_PATIENCE_S = 10
#: A server's connection that was used within so long is used again unasked.
TRUSTED_S = 1.0
#: Pages that SQLite keeps in memory. Its own 2 MB do not hold the indexes of a million results,
#: whose pages it then reads anew for every row.
_CACHE_KIB = 64 * 1024
#: Pages in the log before they are copied into the file: 32 MB. Pages of an index change with
#: every batch; the longer they stay in the log, the fewer of their versions are copied.
_LOG_PAGES = 8_000
#: Marks connections that are going to write.
_WRITES = "edgewright_writes"
#: Marks connections without transactions.
_BARE = "edgewright_bare"
#: When a pooled connection was used last, by the monotonic clock.
_USED_AT = "edgewright_used_at"
#: Which file a connection of SQLite's is to.
_FILE = "edgewright_file"
#: Its log, as it was when the connection was used last.
_LOG = "edgewright_log"


class Database:
    """One open store."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    @property
    def url(self) -> str:
        """Where this store is, without secrets."""
        url = self._engine.url.set(drivername=self._engine.url.get_backend_name())
        return url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """File of the store; None where it is not a file."""
        name = self._engine.url.database
        return Path(name) if name and _is_file(self._engine.url) else None

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that holds the write lock from its start; all of it or nothing.

        Raises:
            StoreUnavailableError: disk full, locked or unreadable; try again later.
            StoreDamagedError: damaged; trying again does not help.
            RowRefusedError: a value that the database cannot represent.
        """
        with translated(self.url), self._engine.connect() as connection:
            writer = connection.execution_options(**{_WRITES: True})
            with writer.begin():
                yield writer

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One consistent view of the store.

        Raises:
            StoreUnavailableError: locked or unreadable.
            StoreDamagedError: damaged; trying again does not help.
        """
        with translated(self.url), self._engine.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def bare(self) -> Iterator[sa.Connection]:
        """A connection where each statement is by itself: for what no transaction may hold.

        Raises:
            StoreUnavailableError: locked, disk full or unreadable.
            StoreDamagedError: damaged; trying again does not help.
        """
        with translated(self.url), self._engine.connect() as connection:
            bare = connection.execution_options(**{_BARE: True})
            # SQLite's driver would afterwards begin transactions of its own.
            yield bare if self.path else bare.execution_options(isolation_level="AUTOCOMMIT")

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[sa.Connection]:
        """The store as it is at this moment, for long reading while others write.

        Rows come a few at a time where they are asked for that way (`yield_per`).

        Raises:
            StoreUnavailableError: locked or unreadable.
            StoreDamagedError: damaged; trying again does not help.
        """
        if self.path is not None:
            with self.reading() as connection:
                yield connection
            return
        with translated(self.url), self._engine.connect() as connection:
            unchanging = connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            with unchanging.begin():
                yield unchanging

    def store_id(self) -> str:
        """Identity of this store, made when it was first opened."""
        with self.reading() as connection:
            found = connection.scalar(sa.select(facts.c.value).where(facts.c.name == "store_id"))
        if found is None:
            message = f"{self.url}: the store has no identity; it was not made by Edgewright"
            raise StoreError(message)
        return str(found)

    def close(self) -> None:
        """Release every connection."""
        self._engine.dispose()


def open_database(url: str, *, create: bool) -> Database:
    """Open a store and bring its schema up to date.

    Args:
        url: `sqlite:///PATH`, a bare path, or `postgresql://USER@HOST/DATABASE`.
        create: make the store, and a file's folder, where they are missing.

    Raises:
        AddressError: not a URL of a supported database.
        StoreMissingError: there is none and `create` is false.
        StoreError: it is not a store, or was written by a later Edgewright.
        StoreUnavailableError: it cannot be reached, read or written.
        StoreDamagedError: it is damaged.
    """
    database = connect_database(url, create=create)
    try:
        if not create:
            _expect_store(database)
        upgrade(database)
    except BaseException:
        database.close()
        raise
    return database


def connect_database(url: str, *, create: bool) -> Database:
    """Open a database as it is, with whatever schema it has, or none.

    Raises:
        AddressError: not a URL of a supported database.
        StoreMissingError: it is a file that does not exist and `create` is false.
        StoreError: PostgreSQL is asked for and psycopg is not installed.
    """
    parsed = _parse(url)
    engine = _sqlite_engine(parsed, create=create) if _is_file(parsed) else _server_engine(parsed)
    return Database(engine)


def is_file_url(url: str) -> bool:
    """Whether a store's URL names a file, which is one process's to collect into.

    Raises:
        AddressError: not a URL of a supported database.
    """
    return _is_file(_parse(url))


def _sqlite_engine(parsed: sa.URL, *, create: bool) -> sa.Engine:
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


def _server_engine(parsed: sa.URL) -> sa.Engine:
    try:
        engine = sa.create_engine(parsed, connect_args={"connect_timeout": _CONNECT_PATIENCE_S})
    except ModuleNotFoundError as error:
        message = "PostgreSQL needs psycopg: pip install 'edgewright[fleet,postgres]'"
        raise StoreError(message) from error
    sa.event.listen(engine, "checkin", _note_use)
    dead = engine.dialect.loaded_dbapi.Error
    sa.event.listen(engine, "checkout", functools.partial(_ask_whether_alive, dead))
    return engine


def _parse(url: str) -> sa.URL:
    expected = "expected sqlite:///PATH or postgresql://USER@HOST/DATABASE"
    try:
        parsed = sa.make_url(url if "://" in url else f"sqlite:///{url}")
    except (sa.exc.ArgumentError, ValueError) as error:
        message = f"store '{url}': {expected}"
        raise AddressError(message) from error
    kind = parsed.get_backend_name()
    if kind == "postgresql" and parsed.database:
        return parsed.set(drivername="postgresql+psycopg")
    if kind != "sqlite" or not parsed.database or parsed.query:
        message = f"store '{parsed.render_as_string(hide_password=True)}': {expected}"
        raise AddressError(message)
    if parsed.database.startswith(":memory:"):
        message = f"store '{url}': expected a file: what is only in memory is not stored"
        raise AddressError(message)
    return parsed.set(drivername="sqlite+pysqlite")


def _is_file(parsed: sa.URL) -> bool:
    return parsed.get_backend_name() == "sqlite"


def _expect_store(database: Database) -> None:
    """Expect our tables in a server's database; a file that was opened is looked at later."""
    if database.path is not None:
        return
    with database.reading() as connection:
        is_store = sa.inspect(connection).has_table(facts.name)
    if not is_store:
        message = (
            f"no fleet store at {database.url}; start 'edgewright-fleet serve' to make one, or "
            "name another with --db"
        )
        raise StoreMissingError(message)


def _note_use(_connection: object, record: sa.pool.ConnectionPoolEntry) -> None:
    record.info[_USED_AT] = time.monotonic()


def _ask_whether_alive(
    dead: type[Exception],
    connection: Any,  # noqa: ANN401 - psycopg need not be installed
    record: sa.pool.ConnectionPoolEntry,
    _proxy: object,
) -> None:
    """Make the pool connect anew where the server was restarted while nobody used it.

    SQLAlchemy's own way asks at every use, which takes three more round trips a batch.
    """
    if time.monotonic() - record.info.get(_USED_AT, math.inf) < TRUSTED_S:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except dead as error:
        raise sa.exc.InvalidatePoolError from error


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
    if options.get(_BARE, False):
        return
    writes = options.get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
