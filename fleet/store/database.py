"""The store's database: opened, upgraded, and used in transactions."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from fleet.errors import AddressError, StoreError, StoreMissingError
from fleet.store.failures import translated
from fleet.store.file_engine import BARE, WRITES, file_engine
from fleet.store.schema import facts
from fleet.store.upgrade import upgrade

_CONNECT_PATIENCE_S = 10
#: A server's connection that was used within so long is used again unasked.
TRUSTED_S = 1.0
#: When a pooled connection was used last, by the monotonic clock.
_USED_AT = "edgewright_used_at"


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
            writer = connection.execution_options(**{WRITES: True})
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
            bare = connection.execution_options(**{BARE: True})
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
    engine = file_engine(parsed, create=create) if _is_file(parsed) else _server_engine(parsed)
    return Database(engine)


def is_file_url(url: str) -> bool:
    """Whether a store's URL names a file, which is one process's to collect into.

    Raises:
        AddressError: not a URL of a supported database.
    """
    return _is_file(_parse(url))


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
