"""Tells a damaged database, which stays so, from one that is away for a while."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import sqlalchemy as sa

from fleet.errors import StoreDamagedError

#: SQLite's extended codes tell details in their higher bits.
_PRIMARY_CODE = 0xFF
#: XX001 data_corrupted, XX002 index_corrupted, 58P01 undefined_file: a table's file is gone
#: (PostgreSQL, appendix A).
_DAMAGED_STATES = frozenset({"XX001", "XX002", "58P01"})
#: Undefined table and column: our statements fit our schema, unless it is not what was made.
_LOST_STATES = frozenset({"42P01", "42703"})
_LOST_WORDS = ("no such table", "no such column")
#: Python's own words for bytes in a text that are no UTF-8, and SQLite's about our JSON. Neither
#: has a code that tells it from errors of a statement.
_GARBLED_WORDS = ("Could not decode to UTF-8", "malformed JSON")

_RESTORE = (
    "stop what uses it and restore a backup in its place: edgewright-fleet restore FILE --db "
    "STORE --force"
)


@contextlib.contextmanager
def naming_damage(url: str) -> Iterator[None]:
    """Raise what a damaged database causes as an error that no retry answers.

    Args:
        url: what messages call the store.

    Raises:
        StoreDamagedError: the database is damaged, or a document in it is not what was written.
    """
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error) as error:
        original = (error.orig if isinstance(error, sa.exc.DBAPIError) else None) or error
        damage = _described(original)
        if damage is None:
            raise
        message = f"{url}: {damage}"
        raise StoreDamagedError(message) from error
    except msgspec.DecodeError as error:
        # Within a transaction nothing is decoded but what stands in the store.
        message = f"{url}: a document in it is damaged ({error}); {_RESTORE}"
        raise StoreDamagedError(message) from error


def damage_in(path: Path) -> str | None:
    """What SQLite finds wrong in a store's file, and what to do; None where it finds nothing.

    It reads the whole file, some seconds a gigabyte: for when something failed that cannot fail.
    """
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        return _described(error)
    return None if verdict == "ok" else f"it is damaged ({verdict}); {_RESTORE}"


def _described(error: BaseException) -> str | None:
    """What to say of a driver's error and what to do; None where it is none of damage."""
    # PostgreSQL goes on over several lines.
    cause = " ".join(str(error).split())
    code = (getattr(error, "sqlite_errorcode", None) or 0) & _PRIMARY_CODE
    state = getattr(error, "sqlstate", None)
    if code == sqlite3.SQLITE_NOTADB:
        return f"{cause}; name another file with --db, or if it was a store, {_RESTORE}"
    if state in _LOST_STATES or cause.startswith(_LOST_WORDS):
        return (
            f"a part of the store is gone ({cause}); start again if another Edgewright upgraded "
            f"it, else {_RESTORE}"
        )
    is_damaged = code == sqlite3.SQLITE_CORRUPT or state in _DAMAGED_STATES
    if is_damaged or cause.startswith(_GARBLED_WORDS):
        return f"it is damaged ({cause}); {_RESTORE}"
    return None
