"""`edgewright-fleet backup` and `restore`: a store in one file, and back into either kind."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click

from edgewright.console import Console, styled
from fleet.commands.options import db_option, json_option
from fleet.commands.printing import print_json, print_lines
from fleet.store.archive import Progress
from fleet.store.backup import back_up
from fleet.store.database import open_database
from fleet.store.restore import restore

_BYTES_PER_MB = 1e6


@click.command()
@click.argument("target", metavar="FILE|DIR", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE where it is there already.")
@db_option
@json_option
def backup(target: Path, store_url: str, *, force: bool, as_json: bool) -> None:
    """Write the whole store into one FILE, or into a new file in DIR.

    Collectors go on meanwhile; the backup has what was stored when it began. It holds every table
    as JSON lines, with counts and SHA-256 of each, and can be restored into a store of either kind.
    Certificates and accounts ('--authority') are not in it.
    """
    with _progress() as on_progress:
        made = back_up(
            open_database(store_url, create=False),
            target,
            now=time.time(),
            overwrite=force,
            on_progress=on_progress,
        )
    if as_json:
        print_json(made)
        return
    rows = {table.name: table.rows for table in made.manifest.tables}
    size = f"{made.bytes / _BYTES_PER_MB:.1f} MB"
    print_lines([f"{made.file}: {rows['results']} results of {rows['devices']} devices, {size}"])


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--force",
    is_flag=True,
    help="Where there is a store already, set it aside: a file is renamed, tables of a PostgreSQL "
    "database move to another schema. Nothing is deleted.",
)
@db_option
@json_option
def restore_command(file: Path, store_url: str, *, force: bool, as_json: bool) -> None:
    """Make the store of the backup FILE.

    FILE is verified first; a backup by an earlier Edgewright is brought up to date. Stop every
    'serve' before. Devices send again by themselves what they still keep. Into the other kind of
    store than it came from, this is a move from SQLite to PostgreSQL, or back.
    """
    with _progress() as on_progress:
        done = restore(file, store_url, now=time.time(), replace=force, on_progress=on_progress)
    if as_json:
        print_json(done)
        return
    rows = {table.name: table.rows for table in done.manifest.tables}
    print_lines([f"{done.store}: {rows['results']} results of {rows['devices']} devices"])
    if done.set_aside is not None:
        print_lines([f"the store that was there is now {done.set_aside}"])


@contextlib.contextmanager
def _progress() -> Iterator[Progress]:
    """Tell a person at a terminal how far it is; nobody else."""
    if not sys.stderr.isatty():
        yield lambda _table, _rows: None
        return
    with Console(stderr=True).status("reading") as status:
        yield lambda table, rows: status.update(styled(f"{table}: {rows} rows"))
