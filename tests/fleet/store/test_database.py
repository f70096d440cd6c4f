"""Opening the store, its schema, and what is refused."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from fleet.errors import (
    AddressError,
    RowRefusedError,
    StoreDamagedError,
    StoreError,
    StoreMissingError,
    StoreUnavailableError,
)
from fleet.store.database import TRUSTED_S, Database, open_database
from fleet.store.dialect import insert_rows, together
from fleet.store.evidence import runs_of
from fleet.store.lock import sole_user
from fleet.store.roster import devices_named
from fleet.store.schema import facts, metadata, results
from support.brokers import free_port
from support.filling import fill
from support.measurements import make_run
from support.postgres import PostgresServer
from support.stores import ON_BOTH


def dump(path: Path) -> dict[tuple[str, str], str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_master")
        # A column that was added later stands in the same line as the one before it.
        return {
            (kind, name): " ".join((sql or "").split())
            for kind, name, sql in rows
            if "alembic" not in name
        }


def test_the_migrations_build_exactly_the_schema(database: Database, tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'direct.db'}")
    metadata.create_all(engine)
    engine.dispose()
    assert database.path is not None
    assert dump(database.path) == dump(tmp_path / "direct.db")


def test_the_store_is_durable_and_readable_while_written(database: Database) -> None:
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_a_store_of_several_names_is_not_held(tmp_path: Path) -> None:
    """SQLite keeps a log beside each name, and two collectors would write into one file."""
    path = tmp_path / "fleet.db"
    path.write_bytes(b"")
    os.link(path, tmp_path / "other.db")
    with pytest.raises(StoreError, match="hard links"), sole_user("it", path):
        pytest.fail("it was held")


@ON_BOTH
def test_a_store_keeps_its_identity(store_url: str, database: Database) -> None:
    with contextlib.closing(open_database(store_url, create=False)) as again:
        assert again.store_id() == database.store_id()


@ON_BOTH
def test_a_failed_transaction_leaves_nothing(database: Database) -> None:
    def write_and_fail() -> None:
        with database.writing() as connection:
            connection.execute(sa.insert(facts).values(name="x", value="1"))
            connection.execute(sa.insert(facts).values(name="x", value="2"))

    with pytest.raises(RowRefusedError):
        write_and_fail()
    with database.reading() as connection:
        assert connection.scalar(sa.select(facts).where(facts.c.name == "x")) is None


@ON_BOTH
def test_what_is_refused_of_what_was_sent_together_leaves_nothing(database: Database) -> None:
    def write_and_fail() -> None:
        with database.writing() as connection, together(connection):
            insert_rows(connection, facts, ("name", "value"), [("x", "1")])
            insert_rows(connection, facts, ("name", "value"), [("x", "2")])

    with pytest.raises(RowRefusedError, match=r"(?i)unique"):
        write_and_fail()
    with database.writing() as connection, together(connection):
        insert_rows(connection, facts, ("name", "value"), [("y", "1"), ("z", "2")])
    with database.reading() as connection:
        names = set(connection.scalars(sa.select(facts.c.name)))
    assert names & {"x", "y", "z"} == {"y", "z"}


def test_a_missing_store_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(StoreMissingError, match="edgewright-fleet serve"):
        open_database(f"sqlite:///{tmp_path / 'none.db'}", create=False)
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(StoreError, match="not a database"):
        open_database(f"sqlite:///{path}", create=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("substr(run, 1, 100)", "a document in it is damaged"),
        ("CAST(x'7bff' AS TEXT)", "it is damaged .*decode"),
        ("'[]'", "a document in it is damaged"),
    ],
)
def test_what_is_no_document_of_ours_any_more_is_damage_and_not_a_traceback(
    database: Database, change: str, words: str
) -> None:
    fill(database, "box", make_run())
    with database.writing() as connection:
        connection.execute(sa.update(results).values(run=sa.text(change)))

    def read() -> None:
        with database.reading() as connection:
            runs_of(connection, devices_named(connection, ["box"])[0])

    with pytest.raises(StoreDamagedError, match=words):
        read()


def test_a_folder_in_place_of_a_store_is_left_as_it_is(tmp_path: Path) -> None:
    for create in (False, True):
        with pytest.raises(StoreError, match="expected a file, got a folder"):
            open_database(f"sqlite:///{tmp_path}", create=create)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_looked_at_is_named(tmp_path: Path) -> None:
    name = "x" * 300
    for create in (False, True):
        with pytest.raises(StoreError, match="File name too long; name another place with --db"):
            open_database(f"sqlite:///{tmp_path / name}", create=create)


def test_a_store_that_may_only_be_read_says_what_to_do(database: Database) -> None:
    def write() -> None:
        with database.writing() as connection:
            # Answers as a file that this user may not write, whoever this user is.
            connection.exec_driver_sql("PRAGMA query_only = ON")
            connection.execute(sa.insert(facts).values(name="x", value="1"))

    with pytest.raises(StoreUnavailableError, match="let this user write the file and its folder"):
        write()


def test_a_collector_that_may_not_hold_the_store_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    Path(f"{path}.lock").mkdir()
    with pytest.raises(StoreError, match="let this user write it"), sole_user("it", path):
        pytest.fail("it was held")


@ON_BOTH
def test_a_store_of_a_later_edgewright_is_refused(store_url: str, database: Database) -> None:
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="later Edgewright"):
        open_database(store_url, create=False)


@pytest.mark.parametrize(
    "url", ["postgresql://x", "mysql://x/y", "sqlite://", "sqlite:///:memory:", "x://"]
)
def test_another_kind_of_store_is_refused(url: str) -> None:
    with pytest.raises(AddressError, match="expected"):
        open_database(url, create=True)


def test_a_server_that_is_not_there_is_one_line_without_the_password() -> None:
    url = f"postgresql://someone:secret@127.0.0.1:{free_port()}/fleet"
    with pytest.raises(StoreUnavailableError, match="Connection refused") as caught:
        open_database(url, create=True)
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_server_without_a_store_says_how_to_make_one(postgres: PostgresServer) -> None:
    with postgres.database() as url:
        with pytest.raises(StoreMissingError, match="edgewright-fleet serve"):
            open_database(url, create=False)
        made = open_database(url, create=True)
        again = open_database(url, create=False)
        assert made.store_id() == again.store_id()
        for database in (made, again):
            database.close()


def test_a_restarted_server_fails_one_transaction_at_most_and_none_after_a_rest() -> None:
    with (
        contextlib.closing(PostgresServer()) as server,
        server.database() as url,
        contextlib.closing(open_database(url, create=True)) as database,
    ):
        identity = database.store_id()
        server.kill()
        server.start()
        time.sleep(TRUSTED_S)
        assert database.store_id() == identity
        server.kill()
        server.start()
        with contextlib.suppress(StoreUnavailableError):
            database.store_id()
        assert database.store_id() == identity
