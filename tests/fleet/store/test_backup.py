"""A store goes into one file and back, into either kind of store, with all that it told."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from contract.messages import encode_message
from fleet.collecting.intake import Intake
from fleet.errors import ArchiveError, RowRefusedError, StoreBusyError, StoreExistsError
from fleet.mqtt.delivery import Delivery
from fleet.store.archive import Archive, write_archive
from fleet.store.backup import BackedUp, back_up
from fleet.store.database import Database, connect_database, open_database
from fleet.store.lock import sole_user
from fleet.store.restore import Restored, restore
from fleet.store.roster import device_ids
from fleet.store.schema import devices, facts, results
from support.filled_store import fill, rows_of_each, told
from support.measurements import make_result, make_run
from support.postgres import PostgresServer
from support.stores import ON_BOTH

NOW = 1_700_100_000.0
DUMPS = Path(__file__).parent


def quiet(_table: str, _rows: int) -> None:
    """Progress that nobody watches."""


def saved(database: Database, target: Path, *, overwrite: bool = False) -> BackedUp:
    return back_up(database, target, now=NOW, overwrite=overwrite, on_progress=quiet)


def restored(file: Path, url: str, *, replace: bool = False) -> Restored:
    return restore(file, url, now=NOW, replace=replace, on_progress=quiet)


@pytest.fixture
def another(tmp_path: Path, postgres: PostgresServer) -> Iterator[Callable[[str], str]]:
    """URL of a second store that does not exist yet, of a kind."""
    with contextlib.ExitStack() as stack:

        def choose(kind: str) -> str:
            if kind == "sqlite":
                return f"sqlite:///{tmp_path / 'another.db'}"
            return stack.enter_context(postgres.database())

        yield choose


@contextlib.contextmanager
def reading(url: str) -> Iterator[Database]:
    with contextlib.closing(open_database(url, create=False)) as database:
        yield database


@ON_BOTH
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_is_restored_tells_all_that_the_store_told(
    database: Database, another: Callable[[str], str], tmp_path: Path, kind: str
) -> None:
    """From either kind into either kind: so a backup is also the way to PostgreSQL."""
    fill(database)
    made = saved(database, tmp_path / "backup.zip")
    url = another(kind)
    done = restored(tmp_path / "backup.zip", url)
    assert done.set_aside is None
    with reading(url) as there:
        assert told(there) == told(database)
        expected = rows_of_each(database)
        expected["facts"] += 1
        assert rows_of_each(there) == expected
        with there.reading() as connection:
            at = connection.scalar(sa.select(facts.c.value).where(facts.c.name == "restored_at"))
        assert at == "2023-11-16T02:00:00+00:00"
        go_on(there)
    assert {table.name: table.rows for table in made.manifest.tables} == {
        name: rows for name, rows in rows_of_each(database).items() if name != "alembic_version"
    }


def go_on(database: Database) -> None:
    """New rows get numbers of their own, and what is stored is known again."""
    with database.reading() as connection:
        before = len(device_ids(connection))
    messages = [
        make_result(1, make_run("net-base", run_id="new"), device="new"),
        make_result(2, make_run("net-p10", run_id="run-2", p50_ms=5.0, top1=0.97)),
    ]
    receipt = Intake(database).take(
        [
            Delivery(
                topic=f"edgewright/v1/lab/{one.device}/result",
                payload=encode_message(one),
                retained=False,
                received_at=NOW,
            )
            for one in messages
        ],
        now=NOW,
    )
    assert (receipt.stored, receipt.duplicates, receipt.quarantined) == (1, 1, 0)
    with database.reading() as connection:
        assert len(device_ids(connection)) == before + 1


@ON_BOTH
def test_a_backup_beside_a_busy_collector_is_of_one_moment(
    database: Database, another: Callable[[str], str], tmp_path: Path
) -> None:
    """Each batch stores a device and its results: no backup has one without the other."""
    stop = threading.Event()

    def collect() -> None:
        intake, number = Intake(database), 0
        while not stop.is_set():
            number += 1
            batch = [
                Delivery(
                    topic=f"edgewright/v1/lab/d-{number}/result",
                    payload=encode_message(
                        make_result(seq, make_run(run_id=f"{number}-{seq}"), device=f"d-{number}")
                    ),
                    retained=False,
                    received_at=NOW,
                )
                for seq in (1, 2, 3)
            ]
            intake.take(batch, now=NOW)

    collector = threading.Thread(target=collect)
    collector.start()
    try:
        for number in range(5):
            made = saved(database, tmp_path / f"{number}.zip")
            rows = {table.name: table.rows for table in made.manifest.tables}
            assert rows["results"] == 3 * rows["epochs"] == 3 * rows["devices"]
    finally:
        stop.set()
        collector.join()
    url = another("sqlite")
    restored(tmp_path / "4.zip", url)
    with reading(url) as there, there.reading() as connection:
        seen = connection.scalar(sa.select(sa.func.count()).select_from(results))
    assert seen == rows["results"] > 0


@pytest.mark.parametrize("revision", ["0003"])
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_backup_of_an_earlier_schema_is_brought_up_to_date(
    tmp_path: Path, another: Callable[[str], str], kind: str, revision: str
) -> None:
    path, file = tmp_path / "old.db", tmp_path / "old.zip"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript((DUMPS / f"store-{revision}.sql").read_text())
    with (
        contextlib.closing(connect_database(f"sqlite:///{path}", create=False)) as database,
        database.reading() as connection,
    ):
        found = sa.MetaData()
        found.reflect(connection)
        tables = [table for table in found.sorted_tables if table.name != "alembic_version"]
        write_archive(connection, file, store_id="x", now=NOW, on_progress=quiet, tables=tables)
    url = another(kind)
    assert restored(file, url).manifest.schema == revision
    with reading(f"sqlite:///{path}") as upgraded, reading(url) as there:
        assert told(there) == told(upgraded)


def rewritten(file: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """Change members of an archive, as a disk or a person may."""
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def losing_a_row(members: dict[str, bytes]) -> None:
    members["results.jsonl"] = b"\n".join(members["results.jsonl"].splitlines()[1:])


def with_another_figure(members: dict[str, bytes]) -> None:
    members["results.jsonl"] = members["results.jsonl"].replace(b"net-base", b"net-bose", 1)


def without_a_table(members: dict[str, bytes]) -> None:
    del members["tombstones.jsonl"]


def without_a_manifest(members: dict[str, bytes]) -> None:
    del members["manifest.json"]


def of_a_later_schema(members: dict[str, bytes]) -> None:
    manifest = json.loads(members["manifest.json"])
    members["manifest.json"] = json.dumps(manifest | {"schema": "9999"}).encode()


def of_a_later_format(members: dict[str, bytes]) -> None:
    manifest = json.loads(members["manifest.json"])
    members["manifest.json"] = json.dumps(manifest | {"version": 2}).encode()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (losing_a_row, "table 'results' is damaged: expected 9 rows with SHA-256"),
        (with_another_figure, "table 'results' is damaged"),
        (without_a_table, "table 'tombstones' is damaged"),
        (without_a_manifest, "not a backup by"),
        (of_a_later_schema, "a later Edgewright made it"),
        (of_a_later_format, "a later one needs a later Edgewright"),
    ],
)
def test_a_damaged_or_later_backup_is_refused_before_anything_is_touched(
    database: Database,
    tmp_path: Path,
    change: Callable[[dict[str, bytes]], None],
    problem: str,
) -> None:
    fill(database)
    file = tmp_path / "backup.zip"
    saved(database, file)
    rewritten(file, change)
    with pytest.raises(ArchiveError, match=problem):
        restored(file, f"sqlite:///{tmp_path / 'new.db'}")
    assert not (tmp_path / "new.db").exists()


def test_every_bit_that_flips_is_found(database: Database, tmp_path: Path) -> None:
    fill(database)
    file = tmp_path / "backup.zip"
    saved(database, file)
    whole = file.read_bytes()
    for place in range(40, len(whole), len(whole) // 60):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            with contextlib.closing(Archive(file)) as archive:
                archive.verify()
        except ArchiveError:
            continue
        # Names and sizes stand twice in a ZIP file, and times mean nothing here.
        untouched = tmp_path / "untouched.zip"
        untouched.write_bytes(whole)
        with zipfile.ZipFile(file) as one, zipfile.ZipFile(untouched) as other:
            assert all(one.read(name) == other.read(name) for name in other.namelist())


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "photo.jpg"
    file.write_bytes(b"not a zip file")
    with pytest.raises(ArchiveError, match="not a backup by 'edgewright-fleet backup'"):
        restored(file, f"sqlite:///{tmp_path / 'new.db'}")
    with pytest.raises(ArchiveError, match="No such file"):
        restored(tmp_path / "none.zip", f"sqlite:///{tmp_path / 'new.db'}")


@ON_BOTH
def test_a_store_that_is_there_is_only_ever_set_aside(
    database: Database, store_url: str, tmp_path: Path
) -> None:
    fill(database)
    file = tmp_path / "backup.zip"
    saved(database, file)
    with database.writing() as connection:
        connection.execute(sa.update(devices).values(site="changed"))
    database.close()
    with pytest.raises(StoreExistsError, match="--force"):
        restored(file, store_url)
    done = restored(file, store_url, replace=True)
    with reading(store_url) as there:
        assert "lab/box" in told(there)
    assert done.set_aside is not None
    assert "before_restore_20231116t020000z" in done.set_aside
    assert sites_of(store_url, done.set_aside) == {"changed"}


def sites_of(store_url: str, place: str) -> set[str]:
    if place.startswith("/"):
        with reading(f"sqlite:///{place}") as aside, aside.reading() as connection:
            return set(connection.scalars(sa.select(devices.c.site)))
    table = f"{place.removeprefix('schema ')}.devices"
    with reading(store_url) as there, there.reading() as connection:
        return set(connection.exec_driver_sql(f"SELECT site FROM {table}").scalars())  # noqa: S608 - a name of our own


def test_a_file_that_a_collector_uses_is_not_replaced(
    database: Database, store_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "backup.zip"
    saved(database, file)
    with (
        sole_user(database.url, database.path),
        pytest.raises(StoreBusyError, match="another 'edgewright-fleet serve'"),
    ):
        restored(file, store_url, replace=True)


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_server_that_others_use_is_not_replaced(
    database: Database, store_url: str, tmp_path: Path
) -> None:
    fill(database)
    file = tmp_path / "backup.zip"
    saved(database, file)
    with pytest.raises(StoreBusyError, match="1 others are connected"):
        restored(file, store_url, replace=True)
    assert "lab/box" in told(database)


def test_a_value_that_the_other_kind_cannot_hold_leaves_it_empty(
    database: Database, another: Callable[[str], str], tmp_path: Path
) -> None:
    fill(database)
    with database.writing() as connection:
        connection.execute(sa.update(devices).values(boot_id="nul \0 byte"))
    file = tmp_path / "backup.zip"
    saved(database, file)
    url = another("postgresql")
    with pytest.raises(RowRefusedError):
        restored(file, url)
    restored_to_file = f"sqlite:///{tmp_path / 'another.db'}"
    restored(file, restored_to_file)
    with database.writing() as connection:
        connection.execute(sa.update(devices).values(boot_id="no byte"))
    saved(database, file, overwrite=True)
    restored(file, url)


def test_a_restored_file_may_shrink_and_leaves_nothing_beside_it(
    database: Database, tmp_path: Path
) -> None:
    fill(database)
    folder = tmp_path / "folder"
    saved(database, tmp_path / "backup.zip")
    restored(tmp_path / "backup.zip", f"sqlite:///{folder / 'fleet.db'}")
    assert {path.name for path in folder.iterdir()} == {"fleet.db", "fleet.db.lock"}
    with reading(f"sqlite:///{folder / 'fleet.db'}") as there, there.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA auto_vacuum").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def test_a_folder_gets_backups_that_sort_by_age_and_a_file_is_not_overwritten(
    database: Database, tmp_path: Path
) -> None:
    assert saved(database, tmp_path).file == str(tmp_path / "fleet-20231116T020000Z.zip")
    with pytest.raises(ArchiveError, match="there is a file already"):
        saved(database, tmp_path)
    saved(database, tmp_path, overwrite=True)
    with pytest.raises(ArchiveError, match="No such file"):
        saved(database, tmp_path / "none" / "backup.zip")
