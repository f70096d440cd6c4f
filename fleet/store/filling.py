"""An empty database made into the store that a backup has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from itertools import islice
from typing import Protocol

import sqlalchemy as sa
from alembic.util import CommandError

from fleet.errors import ArchiveError
from fleet.store.archive import Archive, Progress, Row, TableManifest
from fleet.store.dialect import count_on, insert_rows, insert_unless_there
from fleet.store.schema import facts, metadata
from fleet.store.upgrade import HEAD, known_revisions, migrate

#: Rows in one statement, and statements in one transaction where there may be several.
_ROWS_AT_ONCE = 500
_STATEMENTS_AT_ONCE = 20


class Transactions(Protocol):
    """Gives a connection within a transaction, as often as it is asked."""

    def __call__(self) -> AbstractContextManager[sa.Connection]:
        """Begin one, or go on in the only one."""


def expect_known_schema(archive: Archive) -> None:
    """Expect a schema that this Edgewright can bring up to date.

    Raises:
        ArchiveError: a later Edgewright made the backup.
    """
    schema = archive.manifest.schema
    if schema not in known_revisions():
        message = (
            f"the backup has schema '{schema}', expected one up to '{known_revisions()[-1]}': a "
            "later Edgewright made it; upgrade Edgewright here"
        )
        raise ArchiveError(message)


def fill(
    transactions: Transactions, archive: Archive, *, now: float, on_progress: Progress
) -> None:
    """Make the tables as they were, fill them, and bring the schema up to date.

    Args:
        transactions: on a database without tables; whether they are one or many is up to the
            caller.
        archive: a backup that was verified.
        now: seconds since the epoch, which the store keeps as the time of its restoring.
        on_progress: told after every few rows.

    Raises:
        ArchiveError: its rows do not fit its schema.
        RowRefusedError: this kind of database cannot represent a value that another one could.
        StoreUnavailableError: disk full or unreadable.
    """
    with transactions() as connection:
        try:
            migrate(connection, archive.manifest.schema)
        except CommandError as error:
            message = f"schema '{archive.manifest.schema}' of the backup: {error}"
            raise ArchiveError(message) from error
    for table in archive.manifest.tables:
        _fill_table(transactions, archive, table, on_progress)
    with transactions() as connection:
        migrate(connection, HEAD)
        for filled in metadata.sorted_tables:
            count_on(connection, filled)
        at = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds")
        insert_unless_there(connection, facts, [{"name": "restored_at", "value": at}])
        connection.execute(sa.update(facts).where(facts.c.name == "restored_at").values(value=at))


def _fill_table(
    transactions: Transactions, archive: Archive, told: TableManifest, on_progress: Progress
) -> None:
    with transactions() as connection:
        table = _table(connection, told)
    binary = frozenset(column.name for column in table.c if isinstance(column.type, sa.LargeBinary))
    columns = tuple(told.columns)
    rows = archive.rows(told, binary=binary)
    done = 0
    while done < told.rows:
        with transactions() as connection:
            for _ in range(_STATEMENTS_AT_ONCE):
                some = _next(rows)
                insert_rows(connection, table, columns, some)
                done += len(some)
                on_progress(told.name, done)
                if len(some) < _ROWS_AT_ONCE:
                    return


def _next(rows: Iterator[Row]) -> list[Row]:
    return list(islice(rows, _ROWS_AT_ONCE))


def _table(connection: sa.Connection, told: TableManifest) -> sa.Table:
    """The table as this database has it; names from a file are never trusted."""
    try:
        table = sa.Table(told.name, sa.MetaData(), autoload_with=connection)
    except sa.exc.NoSuchTableError as error:
        message = f"the backup has a table '{told.name}', which its schema does not have"
        raise ArchiveError(message) from error
    expected = [column.name for column in table.c]
    if sorted(told.columns) != sorted(expected):
        message = (
            f"table '{told.name}' of the backup: expected the columns {', '.join(expected)}, got "
            f"{', '.join(told.columns)}"
        )
        raise ArchiveError(message)
    return table
