"""A backup as one ZIP file: every table as JSON lines, and a manifest that accounts for them.

The manifest names the schema, and of each table its columns, how many rows it has, and the
SHA-256 of its lines. `unzip -p FILE devices.jsonl` reads it without Edgewright. Rows go through
memory some at a time.
"""

from __future__ import annotations

import binascii
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from fleet.errors import ArchiveError
from fleet.store.schema import metadata, quarantine, samples
from fleet.store.upgrade import revision_of

#: What every backup says of itself.
FORMAT = "edgewright-fleet-backup"
#: A reader of this version reads no later one.
VERSION = 1

#: What zipfile raises where bits have flipped: a header may ask for a password, or for a way of
#: compressing that there is not.
_DAMAGE = (zipfile.BadZipFile, zlib.error, KeyError, EOFError, RuntimeError, ValueError)

_MANIFEST = "manifest.json"
#: Far more than any manifest; nothing larger is read into memory.
_MANIFEST_BYTES = 1_000_000
#: Far more than any row; what is no backup must not fill the memory.
_LINE_BYTES = 64 << 20
_ROWS_AT_ONCE = 1000
#: Rows of these have up to 32 and 256 KiB.
_LARGE = frozenset({samples.name, quarantine.name})
_LARGE_ROWS_AT_ONCE = 50
#: Of zlib's levels the fastest: text of results shrinks well by any.
_COMPRESSION = 1

#: Called with the name of a table and how many of its rows are done.
Progress = Callable[[str, int], None]
Row = tuple[object, ...]


class TableManifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup has of one table; `sha256` is of its lines, in 64 hexadecimal digits."""

    name: str
    columns: list[str]
    rows: int
    sha256: str

    @property
    def member(self) -> str:
        """Name of the table's file in the archive."""
        return f"{self.name}.jsonl"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup is; tables stand in the order in which they can be filled."""

    format: str
    version: int
    #: Revision of the schema that the tables have.
    schema: str
    store_id: str
    #: Seconds since the epoch.
    made_at: float
    tables: list[TableManifest]


def write_archive(
    connection: sa.Connection,
    path: Path,
    *,
    store_id: str,
    now: float,
    on_progress: Progress,
    tables: Sequence[sa.Table] = tuple(metadata.sorted_tables),
) -> Manifest:
    """Write every table of a store into a new archive.

    Args:
        connection: a snapshot of the store.
        path: of the archive; a file that is there is overwritten.
        store_id: identity of the store.
        now: seconds since the epoch.
        on_progress: told after every few rows.
        tables: those of the store's schema, in the order in which they can be filled.

    Raises:
        OSError: the disk is full, or the file cannot be written.
    """
    with zipfile.ZipFile(
        path, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION
    ) as archive:
        written = [_write_table(connection, archive, table, on_progress) for table in tables]
        manifest = Manifest(
            format=FORMAT,
            version=VERSION,
            schema=revision_of(connection),
            store_id=store_id,
            made_at=now,
            tables=written,
        )
        archive.writestr(_MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=2))
    return manifest


class Archive:
    """A backup to read.

    Raises:
        ArchiveError: it is none, or of a later format.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._zip = zipfile.ZipFile(path)
            with self._zip.open(_MANIFEST) as file:
                text = file.read(_MANIFEST_BYTES)
            self.manifest = msgspec.json.decode(text, type=Manifest)
        except OSError as error:
            message = f"{path}: {error.strerror or error}"
            raise ArchiveError(message) from error
        except (*_DAMAGE, msgspec.MsgspecError) as error:
            message = f"{path}: not a backup by 'edgewright-fleet backup' ({error})"
            raise ArchiveError(message) from error
        if (self.manifest.format, self.manifest.version) != (FORMAT, VERSION):
            message = (
                f"{path}: '{self.manifest.format}' version {self.manifest.version}, expected "
                f"'{FORMAT}' version {VERSION}; a later one needs a later Edgewright"
            )
            raise ArchiveError(message)

    def close(self) -> None:
        """Release the file."""
        self._zip.close()

    def verify(self) -> None:
        """Read all of it and compare every table with the manifest.

        Raises:
            ArchiveError: a byte or a row is not as it was written.
        """
        for table in self.manifest.tables:
            digest, rows = hashlib.sha256(), 0
            for line in self._lines(table):
                digest.update(line)
                rows += 1
            if (rows, digest.hexdigest()) != (table.rows, table.sha256):
                message = (
                    f"{self._path}: table '{table.name}' is damaged: expected {table.rows} rows "
                    f"with SHA-256 {table.sha256}, got {rows} with {digest.hexdigest()}"
                )
                raise ArchiveError(message)

    def rows(self, table: TableManifest, *, binary: frozenset[str]) -> Iterator[Row]:
        """Rows of a table, in the order of its columns.

        Args:
            table: which.
            binary: its columns that hold bytes.

        Raises:
            ArchiveError: a line is not a row.
        """
        packed = [place for place, name in enumerate(table.columns) if name in binary]
        for number, line in enumerate(self._lines(table), start=1):
            try:
                row = msgspec.json.decode(line, type=list[Any])
                for place in packed:
                    if row[place] is not None:
                        row[place] = binascii.a2b_base64(row[place])
            except (msgspec.MsgspecError, ValueError, IndexError, TypeError) as error:
                message = f"{self._path}: {table.member}, line {number}: not a row ({error})"
                raise ArchiveError(message) from error
            yield tuple(row)

    def _lines(self, table: TableManifest) -> Iterator[bytes]:
        try:
            with self._zip.open(table.member) as file:
                while line := file.readline(_LINE_BYTES):
                    yield line
        except (*_DAMAGE, OSError) as error:
            message = f"{self._path}: table '{table.name}' is damaged: {error}"
            raise ArchiveError(message) from error


def _write_table(
    connection: sa.Connection, archive: zipfile.ZipFile, table: sa.Table, on_progress: Progress
) -> TableManifest:
    at_once = _LARGE_ROWS_AT_ONCE if table.name in _LARGE else _ROWS_AT_ONCE
    encode = msgspec.json.Encoder().encode
    digest, count = hashlib.sha256(), 0
    query = sa.select(table).order_by(*table.primary_key.columns)
    rows = connection.execution_options(yield_per=at_once).execute(query)
    with archive.open(f"{table.name}.jsonl", "w", force_zip64=True) as file:
        for some in rows.partitions():
            # msgspec writes bytes in base64.
            lines = b"".join(encode(tuple(row)) + b"\n" for row in some)
            digest.update(lines)
            file.write(lines)
            count += len(some)
            on_progress(table.name, count)
    return TableManifest(
        # SQLAlchemy's names are strings of a type of its own.
        name=str(table.name),
        columns=[str(column.name) for column in table.c],
        rows=count,
        sha256=digest.hexdigest(),
    )
