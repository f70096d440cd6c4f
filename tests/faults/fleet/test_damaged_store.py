"""The store is damaged in the middle, before a collector starts or while it runs, or removed."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import sqlalchemy as sa

from fleet.store.database import open_database
from fleet.store.schema import results
from support.api import ApiProcess
from support.brokers import Mosquitto
from support.collectors import ServeProcess
from support.commands import run_command
from support.devices import eventually
from support.faults.table import Row
from support.filling import fill
from support.measurements import make_run
from support.outboxes import Outboxes
from support.postgres import PostgresServer

MakeRow = Callable[..., Row]
DEVICES, EACH, BEFORE = 20, 60, 40
#: First byte of a page of SQLite's: an index's leaf and a table's (its file format, section 1.6).
LEAVES = {"index": 10, "table": 13}
PAGE_BYTES, POSTGRES_PAGE_BYTES = 4096, 8192
#: Every command that reads the store or writes to it.
COMMANDS = [
    ("devices",),
    ("recommendations",),
    ("results", "lab/d-0"),
    ("explain", "lab/d-0"),
    ("predict",),
    ("export", "results", "--output", "runs.csv"),
    ("backup", "other.zip"),
    ("retain", "--samples-days", "0"),
    ("whatif", "--policy", "fastest"),
    ("quarantine",),
    ("group", "list"),
]


def overwrite(path: Path, kind: str) -> None:
    """Overwrite the head of every leaf of a kind, as a dying disk or a stray write may."""
    with path.open("rb+") as file:
        for start in range(PAGE_BYTES, path.stat().st_size, PAGE_BYTES):
            file.seek(start)
            if file.read(1)[0] == LEAVES[kind]:
                file.seek(start)
                file.write(b"\xa5" * 100)


def write_log_back(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def stored(url: str) -> list[str]:
    with (
        contextlib.closing(open_database(url, create=False)) as database,
        database.reading() as connection,
    ):
        return sorted(connection.scalars(sa.select(results.c.run_id)))


def ask(*words: str, url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return run_command(
        "fleet", *words, environment=os.environ | {"EDGEWRIGHT_DB": url}, folder=folder
    )


def collect_some(url: str, broker: str, outboxes: Outboxes, folder: Path) -> None:
    """Have a first part of the results stored, and a backup of them."""
    with contextlib.closing(ServeProcess(["--broker", broker, "--db", url], folder / "1.log")) as s:
        outboxes.send(up_to=BEFORE)
        assert eventually(lambda: outboxes.acked == DEVICES * BEFORE)
        assert s.stop() == 0
    done = ask("backup", "fleet.zip", url=url, folder=folder)
    assert done.returncode == 0, done.stderr


def goes_on_from_the_backup(url: str, broker: str, outboxes: Outboxes, folder: Path) -> None:
    """Do what the message says; the rest arrives."""
    done = ask("restore", "fleet.zip", "--db", url, "--force", url=url, folder=folder)
    assert done.returncode == 0, done.stderr
    with contextlib.closing(ServeProcess(["--broker", broker, "--db", url], folder / "3.log")) as s:
        assert outboxes.deliver(within_s=120)
        assert s.stop() == 0
    assert stored(url) == outboxes.run_ids


def names_it(text: str) -> bool:
    return (
        "it is damaged" in text and "edgewright-fleet restore" in text and "Traceback" not in text
    )


@pytest.mark.parametrize("kind", LEAVES)
def test_damage_while_serve_runs_ends_it_with_what_to_do_and_loses_nothing(
    mosquitto: Mosquitto, tmp_path: Path, kind: str, fault: MakeRow
) -> None:
    row = fault(
        f"pages of the store overwritten while it runs ({kind} leaves)",
        holds="serve ends with 1 and says what to do; nothing acknowledged is lost by a restore",
    )
    path = tmp_path / "fleet.db"
    url = f"sqlite:///{path}"
    with contextlib.closing(Outboxes(mosquitto.url, devices=DEVICES, each=EACH)) as outboxes:
        collect_some(url, mosquitto.url, outboxes, tmp_path)
        log = tmp_path / "2.log"
        with contextlib.closing(
            ServeProcess(["--broker", mosquitto.url, "--db", url], log)
        ) as serve:
            write_log_back(path)
            overwrite(path, kind)
            outboxes.send()
            assert serve.process.wait(120) == 1
        assert names_it(log.read_text())
        row.tried()
        before = outboxes.acked
        goes_on_from_the_backup(url, mosquitto.url, outboxes, tmp_path)
    row.came_to(f"{before} acknowledged before, {DEVICES * EACH} after the restore")


def test_an_index_that_names_what_its_table_lost_is_damage_too(
    mosquitto: Mosquitto, tmp_path: Path
) -> None:
    """SQLite itself goes on: its pages are whole."""
    path = tmp_path / "fleet.db"
    url = f"sqlite:///{path}"
    open_database(url, create=True).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'devices'"
        ).fetchone()
    start = (page - 1) * PAGE_BYTES
    empty = path.read_bytes()[start : start + PAGE_BYTES]
    with contextlib.closing(open_database(url, create=False)) as database:
        fill(database, "d-0", make_run())
    write_log_back(path)
    with path.open("rb+") as file:
        file.seek(start)
        file.write(empty)
    log = tmp_path / "serve.log"
    with (
        contextlib.closing(Outboxes(mosquitto.url, devices=1, each=2)) as outboxes,
        contextlib.closing(ServeProcess(["--broker", mosquitto.url, "--db", url], log)) as serve,
    ):
        outboxes.send()
        assert serve.process.wait(120) == 1
    assert names_it(log.read_text())


@pytest.fixture
def damaged(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[tuple[str, Outboxes]]:
    """URL of a store whose tables are damaged, and the devices that filled it."""
    path = tmp_path / "fleet.db"
    url = f"sqlite:///{path}"
    with contextlib.closing(Outboxes(mosquitto.url, devices=DEVICES, each=EACH)) as outboxes:
        collect_some(url, mosquitto.url, outboxes, tmp_path)
        write_log_back(path)
        overwrite(path, "table")
        yield url, outboxes


def test_every_command_on_a_damaged_store_ends_with_one_line_that_says_what_to_do(
    damaged: tuple[str, Outboxes], mosquitto: Mosquitto, tmp_path: Path
) -> None:
    url, outboxes = damaged
    for words in (*COMMANDS, ("serve", "--broker", mosquitto.url)):
        done = ask(*words, url=url, folder=tmp_path)
        assert (done.returncode, done.stdout) == (1, ""), words
        *progress, last = done.stderr.splitlines()
        assert names_it(last), (words, done.stderr)
        assert not any("damaged" in line for line in progress)
    goes_on_from_the_backup(url, mosquitto.url, outboxes, tmp_path)


def test_the_api_on_a_damaged_or_replaced_store_answers_503_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "fleet.db"
    url = f"sqlite:///{path}"
    with contextlib.closing(open_database(url, create=True)) as database:
        fill(database, "box", make_run())
    # Two, for what one has read it keeps in memory.
    with (
        contextlib.closing(_api(url, tmp_path / "1.log")) as first,
        contextlib.closing(_api(url, tmp_path / "2.log")) as second,
    ):
        write_log_back(path)
        overwrite(path, "table")
        answer = httpx.get(f"{first.url}/api/v1/devices", timeout=60)
        assert answer.status_code == 503
        assert names_it(answer.json()["detail"])
        path.unlink()
        answer = httpx.get(f"{second.url}/api/v1/devices", timeout=60)
        assert answer.status_code == 503
        assert "removed or replaced while it was in use" in answer.json()["detail"]


def _api(url: str, log: Path) -> ApiProcess:
    return ApiProcess(["--listen", "127.0.0.1:0", "--db", url], log, {})


@pytest.mark.parametrize(
    ("name", "does", "said"),
    [
        ("fleet.db", Path.unlink, "removed or replaced while it was in use"),
        ("fleet.db-wal", Path.unlink, "log was removed or cut while it was in use"),
        ("fleet.db-wal", lambda path: os.truncate(path, 0), "log was removed or cut"),
    ],
    ids=["removed", "log-removed", "log-cut"],
)
def test_a_store_that_is_removed_while_serve_runs_takes_no_further_result(
    mosquitto: Mosquitto,
    tmp_path: Path,
    fault: MakeRow,
    name: str,
    does: Callable[[Path], None],
    said: str,
) -> None:
    row = fault(
        f"{name} removed or cut while it runs",
        holds="serve ends with 1; nothing is acknowledged that is stored nowhere",
    )
    path = tmp_path / "fleet.db"
    log = tmp_path / "serve.log"
    with (
        contextlib.closing(Outboxes(mosquitto.url, devices=DEVICES, each=EACH)) as outboxes,
        contextlib.closing(
            ServeProcess(["--broker", mosquitto.url, "--db", f"sqlite:///{path}"], log)
        ) as serve,
    ):
        outboxes.send(up_to=BEFORE)
        assert eventually(lambda: outboxes.acked == DEVICES * BEFORE)
        does(path.with_name(name))
        outboxes.send()
        assert serve.process.wait(120) == 1
        assert outboxes.acked == DEVICES * BEFORE
    assert said in log.read_text()
    assert "Traceback" not in log.read_text()
    row.tried()


def test_a_damaged_table_of_postgresql_is_named_and_a_backup_takes_its_place(
    mosquitto: Mosquitto, tmp_path: Path, fault: MakeRow
) -> None:
    row = fault(
        "pages of PostgreSQL's tables overwritten while it was off",
        holds="serve ends with 1 and says what to do; nothing acknowledged is lost by a restore",
    )
    with (
        contextlib.closing(PostgresServer()) as server,
        server.database() as url,
        contextlib.closing(Outboxes(mosquitto.url, devices=DEVICES, each=EACH)) as outboxes,
    ):
        collect_some(url, mosquitto.url, outboxes, tmp_path)
        with psycopg.connect(url, autocommit=True) as connection:
            (name,) = connection.execute("SELECT pg_relation_filepath('results')").fetchone() or ()
            connection.execute("CHECKPOINT")
        server.kill()
        table = server.folder / "data" / name
        with table.open("rb+") as file:
            for start in range(0, table.stat().st_size, POSTGRES_PAGE_BYTES):
                file.seek(start)
                file.write(b"\xa5" * 100)
        server.start()
        serve = ask("serve", "--broker", mosquitto.url, url=url, folder=tmp_path)
        assert serve.returncode == 1
        assert names_it(serve.stderr)
        row.tried()
        goes_on_from_the_backup(url, mosquitto.url, outboxes, tmp_path)
