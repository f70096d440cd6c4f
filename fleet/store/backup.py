"""Copies of a store while a collector writes to it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec

from contract.files import replacing
from edgewright.private_files import PRIVATE_MODE
from fleet.errors import ArchiveError
from fleet.store.archive import Manifest, Progress, write_archive
from fleet.store.database import Database


class BackedUp(msgspec.Struct, frozen=True, kw_only=True):
    """One backup that was made."""

    file: str
    bytes: int
    manifest: Manifest


def back_up(
    database: Database, target: Path, *, now: float, overwrite: bool, on_progress: Progress
) -> BackedUp:
    """Write the store as it is at this moment into one file, which appears whole or not at all.

    Args:
        database: an open store; collectors may write to it meanwhile.
        target: the file, or a folder that gets one with the time in its name.
        now: seconds since the epoch.
        overwrite: replace a file of that name.
        on_progress: told after every few rows.

    Raises:
        ArchiveError: the file is there already, or cannot be written.
        StoreUnavailableError: the store cannot be read.
    """
    file = target / file_name(now) if target.is_dir() else target
    if file.exists() and not overwrite:
        message = f"{file}: there is a file already; name another, or replace it with --force"
        raise ArchiveError(message)
    store_id = database.store_id()
    try:
        with replacing(file, mode=PRIVATE_MODE) as scratch, database.snapshot() as connection:
            manifest = write_archive(
                connection, scratch, store_id=store_id, now=now, on_progress=on_progress
            )
    except OSError as error:
        message = f"{file}: {error.strerror or error}; nothing was written"
        raise ArchiveError(message) from error
    return BackedUp(file=str(file), bytes=file.stat().st_size, manifest=manifest)


def file_name(now: float) -> str:
    """Name of a backup that was made at a time: in a folder, they sort by age."""
    return datetime.fromtimestamp(now, UTC).strftime("fleet-%Y%m%dT%H%M%SZ.zip")
