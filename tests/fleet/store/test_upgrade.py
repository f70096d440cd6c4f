"""Stores that earlier releases made, brought to the newest schema."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from fleet.store.database import Database, connect_database, open_database
from fleet.store.dialect import count_on, insert_rows
from fleet.store.schema import metadata
from fleet.store.upgrade import known_revisions, migrate, revision_of
from support.filled_store import fill, told
from support.postgres import PostgresServer
from support.stores import ON_BOTH

FOLDER = Path(__file__).parent
#: PostgreSQL came with this one; no store of an earlier schema was ever there.
FIRST_ON_POSTGRESQL = "0003"
EARLIER = known_revisions()[:-1]

Reopen = Callable[[str], contextlib.AbstractContextManager[Database]]


def laid_out(revision: str, folder: Path) -> Path:
    """The store file that a release of that schema left."""
    path = folder / f"store-{revision}.db"
    with contextlib.closing(sqlite3.connect(path)) as old:
        old.executescript((FOLDER / f"store-{revision}.sql").read_text())
    return path


@pytest.fixture
def old_file(tmp_path: Path) -> Reopen:
    """Open a store of an earlier schema that is a file."""

    @contextlib.contextmanager
    def reopen(revision: str) -> Iterator[Database]:
        path = laid_out(revision, tmp_path)
        with contextlib.closing(open_database(f"sqlite:///{path}", create=False)) as database:
            yield database

    return reopen


@pytest.fixture
def old_server(tmp_path: Path, postgres: PostgresServer) -> Reopen:
    """Open a store of an earlier schema that is on a server: made there, filled from a file."""

    @contextlib.contextmanager
    def reopen(revision: str) -> Iterator[Database]:
        origin_folder = tmp_path / "origin"
        origin_folder.mkdir()
        source = connect_database(f"sqlite:///{laid_out(revision, origin_folder)}", create=False)
        with postgres.database() as url, contextlib.closing(source):
            with (
                contextlib.closing(connect_database(url, create=True)) as made,
                made.writing() as target,
                source.reading() as origin,
            ):
                migrate(target, revision)
                copy_rows(origin, target)
            with contextlib.closing(open_database(url, create=False)) as database:
                yield database

    return reopen


def copy_rows(origin: sa.Connection, target: sa.Connection) -> None:
    found = sa.MetaData()
    found.reflect(target)
    for table in found.sorted_tables:
        if table.name != "alembic_version":
            columns = tuple(str(name) for name in table.c.keys())  # noqa: SIM118 - not a dict
            query = sa.select(*(sa.column(name) for name in columns))
            rows = origin.execute(query.select_from(sa.table(table.name))).all()
            insert_rows(target, table, columns, [tuple(row) for row in rows])
            count_on(target, table)


def test_every_earlier_schema_left_a_store() -> None:
    dumps = {path.stem.removeprefix("store-") for path in FOLDER.glob("store-*.sql")}
    assert dumps == set(EARLIER), "see tests/support/filled_store.py"


@pytest.mark.parametrize("revision", EARLIER)
def test_a_dump_has_rows_in_every_table(revision: str) -> None:
    text = (FOLDER / f"store-{revision}.sql").read_text()
    made = set(re.findall(r'^CREATE TABLE "?(\w+)"?', text, re.MULTILINE))
    filled = set(re.findall(r'^INSERT INTO "?(\w+)"?', text, re.MULTILINE))
    assert made == filled


@pytest.mark.parametrize("revision", EARLIER)
def test_a_file_of_an_earlier_schema_tells_all_that_was_in_it(
    revision: str, old_file: Reopen
) -> None:
    with old_file(revision) as database:
        expect_everything(told(database), revision)
        expect_schema(database)


@pytest.mark.parametrize("revision", [one for one in EARLIER if one >= FIRST_ON_POSTGRESQL])
def test_a_server_with_an_earlier_schema_tells_what_the_file_tells(
    revision: str, old_file: Reopen, old_server: Reopen
) -> None:
    with old_file(revision) as file, old_server(revision) as server:
        assert told(server) == told(file)
        expect_schema(server)


def expect_everything(document: dict[str, Any], revision: str) -> None:
    box, other = document["lab/box"], document["lab/other"]
    by_place = {(one["epoch"], one["seq"]): one["run"]["run_id"] for one in box["runs"]}
    expected = {
        ("e-1", 1): "run-1", ("e-1", 2): "run-2", ("e-1", 4): "run-4", ("e-2", 2): "run-5",
    }  # fmt: skip
    assert expected.items() <= by_place.items()
    # The first schema did not know runs that another outbox had brought already.
    assert (("e-2", 1) in by_place) == (revision == "0001")
    assert len(other["runs"]) == 1
    assert box["device"]["presence"] == "online"
    assert box["device"]["inventory"]["groups"] == ["pi4"]
    assert box["device"]["progress"]["generation"] == 1
    assert box["completeness"]["missing"] == 1
    assert "pi4" in box["groups"]
    assert box["decision"]["outcome"]["status"] == "chosen"
    assert [one["generation"] for one in document["desired"]] == [1]
    assert next(place[:2] for place in box["distributions"]) == ("e-1", 1)
    payloads = [payload for _, payload in document["quarantine"]]
    assert len(payloads) == 3
    (ack, _) = document["acks"]
    assert ack["epochs"]["e-1"]["through"] == 2
    assert [one["seq"] for one in ack["epochs"]["e-1"]["rejected"]] == [5]
    stored = [one["seq"] for one in ack["epochs"]["e-1"]["stored"]]
    assert stored == ([2] if revision == "0001" else [1, 2])
    assert len(document["store_id"]) == 32


def expect_schema(database: Database) -> None:
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        assert revision_of(connection) == known_revisions()[-1]


@ON_BOTH
def test_a_new_store_has_the_schema_that_the_code_goes_by(database: Database) -> None:
    expect_schema(database)


@ON_BOTH
def test_a_new_store_can_be_filled_in_every_table(database: Database) -> None:
    fill(database)
    with database.reading() as connection:
        empty = [
            table.name
            for table in metadata.sorted_tables
            if connection.scalar(sa.select(sa.func.count()).select_from(table)) == 0
        ]
    assert empty == []
    assert told(database)["lab/box"]["identity"]["outbox_returns"] == 2
