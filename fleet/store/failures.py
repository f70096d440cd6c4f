"""Translates what the drivers of SQLite and PostgreSQL raise into the fleet's own errors."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator

import sqlalchemy as sa

from fleet.errors import RowRefusedError, StoreError, StoreFailedError, StoreUnavailableError
from fleet.store.damage import naming_damage

#: What to do about refusals of SQLite that do not say it themselves. Readers write too: they make
#: the log's files beside the store where there are none.
_ADVICE = {
    "attempt to write a readonly database": "; let this user write the file and its folder",
    "unable to open database file": "; let this user write its folder",
}
#: Classes of SQLSTATE that a row causes (PostgreSQL, appendix A): what is wrong with its values,
#: and what no page of the server holds.
_ROW_CLASSES = frozenset({"22", "23", "54"})
#: Classes that say that the server, or what is asked of it, is out of order at the moment:
#: connection, authorization, transaction state, resources, locks, operator, system.
_AWAY_CLASSES = frozenset({"08", "0A", "25", "28", "3D", "3F", "40", "53", "55", "57", "58"})
#: A right that is missing.
_AWAY_CODES = frozenset({"42501"})
#: The same of SQLite, by the low byte of its result codes.
_AWAY_OF_SQLITE = frozenset(
    {
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_SCHEMA,
    }
)
_ROW_OF_SQLITE = frozenset(
    {sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG}
)
_LOW_BYTE = 0xFF


@contextlib.contextmanager
def translated(url: str) -> Iterator[None]:
    """Raise what the driver raises within the block as an error of the fleet.

    Args:
        url: of the store, without secrets, for the message.

    Raises:
        RowRefusedError: a row that is written causes it, and always will.
        StoreUnavailableError: the store is out of order at the moment.
        StoreFailedError: neither is known.
        StoreDamagedError: the store is damaged, or no store.
    """
    try:
        with naming_damage(url):
            yield
    except (sa.exc.DBAPIError, sqlite3.Error, OverflowError, UnicodeError) as error:
        raise _translation(url, error) from error


def _translation(url: str, error: Exception) -> StoreError:
    cause = _cause(error)
    message = f"{url}: {cause}"
    if _is_of_a_row(error):
        return RowRefusedError(message)
    if _is_away(error):
        return StoreUnavailableError(f"{message}{_ADVICE.get(cause, '')}")
    return StoreFailedError(message)


def _is_of_a_row(error: Exception) -> bool:
    if isinstance(error, sa.exc.DataError | sa.exc.IntegrityError | OverflowError | UnicodeError):
        return True
    original = _original(error)
    state = getattr(original, "sqlstate", None)
    if state is not None:
        return state[:2] in _ROW_CLASSES
    return _sqlite_code(original) in _ROW_OF_SQLITE


def _is_away(error: Exception) -> bool:
    original = _original(error)
    state = getattr(original, "sqlstate", None)
    if state is not None:
        return state[:2] in _AWAY_CLASSES or state in _AWAY_CODES
    code = _sqlite_code(original)
    if code is not None:
        return code in _AWAY_OF_SQLITE
    # A server that cannot be reached sends no code.
    return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)


def _sqlite_code(original: BaseException) -> int | None:
    code: int | None = getattr(original, "sqlite_errorcode", None)
    return None if code is None else code & _LOW_BYTE


def _original(error: BaseException) -> BaseException:
    return getattr(error, "orig", None) or error


def _cause(error: BaseException) -> str:
    # PostgreSQL goes on over several lines.
    return " ".join(str(_original(error)).split())
