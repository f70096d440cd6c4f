"""A backup made into a store, of either kind, whatever kind it came from."""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import sqlalchemy as sa

from contract.files import make_folder, replacing
from edgewright.private_files import PRIVATE_MODE
from fleet.errors import StoreBusyError, StoreError, StoreExistsError
from fleet.store.archive import Archive, Manifest, Progress
from fleet.store.database import Database, connect_database
from fleet.store.dialect import hold_schema, others_connected, set_aside
from fleet.store.filling import expect_known_schema, fill
from fleet.store.lock import sole_user
from fleet.store.schema import metadata

#: SQLite's own files beside the one that it is told of.
_COMPANIONS = ("-wal", "-shm", "")
_VERSIONS = "alembic_version"


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """One backup that was restored; `set_aside` is where the store before it is now."""

    store: str
    set_aside: str | None
    manifest: Manifest


def restore(
    file: Path, store_url: str, *, now: float, replace: bool, on_progress: Progress
) -> Restored:
    """Make a store of a backup; all of it or nothing.

    The backup is read and verified as a whole before anything else is touched. A store that is
    there already is never deleted: `replace` sets it aside.

    Args:
        file: the backup.
        store_url: `sqlite:///PATH`, a bare path, or `postgresql://USER@HOST/DATABASE`.
        now: seconds since the epoch.
        replace: take the place of a store that is there.
        on_progress: told after every few rows.

    Raises:
        ArchiveError: the backup is damaged, or a later Edgewright made it.
        AddressError: not a URL of a supported database.
        StoreExistsError: there is a store already and `replace` is false.
        StoreBusyError: somebody uses the store that is there.
        RowRefusedError: this kind of database cannot represent a value that another one could.
        StoreError: the store cannot be made.
    """
    with contextlib.closing(Archive(file)) as archive:
        expect_known_schema(archive)
        archive.verify()
        database = connect_database(store_url, create=True)
        aside = f"before_restore_{datetime.fromtimestamp(now, UTC):%Y%m%dt%H%M%Sz}"
        with contextlib.closing(database):
            if database.path is None:
                was_there = _into_server(
                    database, archive, aside if replace else None, now, on_progress
                )
                place = f"schema {aside}"
            else:
                kept = database.path.with_name(f"{database.path.name}.{aside}")
                was_there = _into_file(
                    database, archive, kept if replace else None, now, on_progress
                )
                place = str(kept)
            return Restored(
                store=database.url,
                set_aside=place if was_there else None,
                manifest=archive.manifest,
            )


def _into_server(
    database: Database, archive: Archive, aside: str | None, now: float, on_progress: Progress
) -> bool:
    """Fill a server's database in one transaction; whether a store was there before."""
    with database.writing() as connection:
        hold_schema(connection)
        there = set(sa.inspect(connection).get_table_names())
        ours = sorted(there & {*metadata.tables, _VERSIONS})
        if ours and aside is None:
            raise _exists(database.url)
        if ours and aside is not None:
            others = others_connected(connection)
            if others:
                message = (
                    f"{database.url}: {others} others are connected to it; stop every 'serve' and "
                    "whatever else uses it first"
                )
                raise StoreBusyError(message)
            set_aside(connection, ours, aside)

        @contextlib.contextmanager
        def only_one() -> Iterator[sa.Connection]:
            yield connection

        fill(only_one, archive, now=now, on_progress=on_progress)
    return bool(ours)


def _into_file(
    database: Database, archive: Archive, aside: Path | None, now: float, on_progress: Progress
) -> bool:
    """Fill a file beside, then let it take its place; whether a store was there before."""
    path = database.path
    if path is None:
        message = f"{database.url}: expected a file"
        raise StoreError(message)
    try:
        make_folder(path.parent)
        with sole_user(database.url, path):
            was_there = path.exists()
            if was_there and aside is None:
                raise _exists(database.url)
            mode = stat.S_IMODE(path.stat().st_mode) if was_there else PRIVATE_MODE
            with replacing(path, mode=mode) as scratch:
                _fill_file(scratch, archive, now, on_progress)
                if was_there and aside is not None:
                    _move_aside(path, aside)
    except OSError as error:
        message = f"{path}: {error.strerror or error}; the store is as it was"
        raise StoreError(message) from error
    return was_there


def _fill_file(scratch: Path, archive: Archive, now: float, on_progress: Progress) -> None:
    # SQLite decides by an absent file that it is new, and may shrink.
    scratch.unlink()
    try:
        with contextlib.closing(connect_database(f"sqlite:///{scratch}", create=True)) as made:
            fill(made.writing, archive, now=now, on_progress=on_progress)
            with made.bare() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").all()
    finally:
        for companion in _COMPANIONS[:-1]:
            scratch.with_name(scratch.name + companion).unlink(missing_ok=True)


def _move_aside(path: Path, aside: Path) -> None:
    """Rename a store that may be damaged, with what SQLite has not written into it yet."""
    for companion in _COMPANIONS:
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + companion).rename(aside.with_name(aside.name + companion))


def _exists(url: str) -> StoreExistsError:
    message = (
        f"{url}: there is a store already; restore into another with --db, or set this one aside "
        "with --force"
    )
    return StoreExistsError(message)
