"""How much room a store takes, and giving back what it does not need."""

from __future__ import annotations

import msgspec
import sqlalchemy as sa

from fleet.store.database import Database
from fleet.store.dialect import is_postgresql

#: Pages that one batch gives back at most, 16 MB: each may have to be moved.
_PAGES_AT_ONCE = 4096


class Space(msgspec.Struct, frozen=True, kw_only=True):
    """Room of a store in bytes; `free_bytes` is room within it that waits for new rows.

    A database server says nothing of that: `free_bytes` is None.
    """

    total_bytes: int
    free_bytes: int | None


def space_of(database: Database) -> Space:
    """Room that a store takes by now.

    Raises:
        StoreUnavailableError: it cannot be read.
    """
    with database.reading() as connection:
        if is_postgresql(connection):
            query = sa.select(sa.func.pg_database_size(sa.func.current_database()))
            return Space(total_bytes=int(connection.scalar(query) or 0), free_bytes=None)
        page, pages, free = (
            int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)
            for name in ("page_size", "page_count", "freelist_count")
        )
    return Space(total_bytes=page * pages, free_bytes=page * free)


def give_back(database: Database) -> None:
    """Give free pages of a file back to the disk, some at a time, in one short transaction.

    Files that were made by an earlier Edgewright keep them for new rows, until `compact` was
    called once. A database server has its own autovacuum.

    Raises:
        StoreUnavailableError: disk full, or somebody else holds the lock.
    """
    if database.path is None:
        return
    with database.bare() as connection:
        cursor = connection.connection.cursor()
        # It frees a page at each step and has no columns: of what Python offers, only this
        # takes all steps.
        cursor.executescript(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})")
        cursor.close()


def compact(database: Database) -> None:
    """Write a store anew without its gaps.

    A file is locked for everybody as long as that takes, and needs as much room again. A
    database server does not lock anybody out, and mostly keeps the room for new rows.

    Raises:
        StoreUnavailableError: disk full, or somebody else holds the lock.
    """
    with database.bare() as connection:
        if is_postgresql(connection):
            connection.exec_driver_sql("VACUUM (ANALYZE)")
        else:
            connection.exec_driver_sql("PRAGMA auto_vacuum = INCREMENTAL")
            connection.exec_driver_sql("VACUUM")
