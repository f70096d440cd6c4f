"""The store's database: opened, upgraded, and used in transactions."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from contract.files import make_folder
from fleet.errors import (
    AddressError,
    RowRefusedError,
    StoreError,
    StoreMissingError,
    StoreUnavailableError,
)
from fleet.schema import facts, metadata

_MIGRATIONS = Path(__file__).parent / "migrations"
#: Another process holds the write lock for one batch; far longer means that it hangs.
_LOCK_PATIENCE_S = 30
_WRITES = "edgewright_writes"


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
        return Path(name) if name else None

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """One transaction that holds the write lock from its start; all of it or nothing.

        Raises:
            StoreUnavailableError: disk full, locked or unreadable; try again later.
            RowRefusedError: a value that the database cannot represent.
        """
        with _translated(self.url), self._engine.connect() as connection:
            writer = connection.execution_options(**{_WRITES: True})
            with writer.begin():
                yield writer

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """One consistent view of the store.

        Raises:
            StoreUnavailableError: locked or unreadable.
        """
        with _translated(self.url), self._engine.begin() as connection:
            yield connection

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
        url: `sqlite:///PATH`; a bare path is taken as one.
        create: make the store and its folder where they are missing.

    Raises:
        AddressError: not a URL of a supported database.
        StoreMissingError: there is none and `create` is false.
        StoreError: the file is not a store, or was written by a later Edgewright.
        StoreUnavailableError: it cannot be read or written.
    """
    parsed = _parse(url)
    path = Path(str(parsed.database))
    if not path.exists():
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
    sa.event.listen(engine, "connect", _set_pragmas)
    sa.event.listen(engine, "begin", _begin)
    database = Database(engine)
    _upgrade(database)
    return database


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url if "://" in url else f"sqlite:///{url}")
    except sa.exc.ArgumentError as error:
        message = f"store '{url}': expected sqlite:///PATH"
        raise AddressError(message) from error
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.query:
        message = f"store '{url}': expected sqlite:///PATH; other databases are not supported yet"
        raise AddressError(message)
    if parsed.database.startswith(":memory:"):
        message = f"store '{url}': expected a file: what is only in memory is not stored"
        raise AddressError(message)
    return parsed.set(drivername="sqlite+pysqlite")


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    # SQLAlchemy's begin event issues BEGIN; the driver must not issue its own.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode = WAL")
    # An acknowledged result must outlive a power cut.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: sa.Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _upgrade(database: Database) -> None:
    config = Config()
    config.set_main_option("script_location", os.fspath(_MIGRATIONS).replace("%", "%%"))
    script = ScriptDirectory.from_config(config)

    def to_head(revision: Any, _context: Any) -> Any:  # noqa: ANN401 - alembic's own signature
        # alembic.command.upgrade does just this, but through an env.py that works on import.
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - no public equivalent

    with database.writing() as connection, EnvironmentContext(config, script, fn=to_head) as env:
        env.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
        try:
            env.run_migrations()
        except CommandError as error:
            message = (
                f"{database.url}: the store was written by a later Edgewright ({error}); "
                "upgrade Edgewright here"
            )
            raise StoreError(message) from error
        if connection.scalar(sa.select(facts.c.value).where(facts.c.name == "store_id")) is None:
            connection.execute(sa.insert(facts).values(name="store_id", value=uuid.uuid4().hex))


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except (sa.exc.DataError, sa.exc.IntegrityError, OverflowError, UnicodeError) as error:
        message = f"{url}: {_cause(error)}"
        raise RowRefusedError(message) from error
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        cause = _cause(error)
        if "not a database" in cause:
            message = f"{url}: {cause}; name another file with --db"
            raise StoreError(message) from error
        message = f"{url}: {cause}"
        raise StoreUnavailableError(message) from error


def _cause(error: BaseException) -> str:
    original = getattr(error, "orig", None)
    return str(original if original is not None else error)
