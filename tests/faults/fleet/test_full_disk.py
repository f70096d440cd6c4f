"""The disk of the store is full while devices send."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from fleet.store.database import open_database
from fleet.store.schema import results
from support.brokers import Mosquitto
from support.collectors import ServeProcess
from support.devices import eventually
from support.faults.filesystems import SmallDisk, small_disk
from support.faults.table import Row
from support.outboxes import Outboxes
from support.processes import program

MakeRow = Callable[..., Row]
DEVICES, EACH = 20, 60
#: A new database of PostgreSQL's takes 8 MB.
SIZE_BYTES = 24 << 20
_COLLECTED = 200


@pytest.fixture(params=["sqlite", "postgresql"])
def small_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[SmallDisk, str]]:
    """A disk with little room, and the URL of a store whose tables are on it."""
    if request.param == "sqlite":
        with small_disk(tmp_path / "small", size_bytes=SIZE_BYTES) as disk:
            yield disk, f"sqlite:///{disk.path / 'fleet.db'}"
        return
    server = request.getfixturevalue("postgres")
    with small_disk(server.folder / "small", size_bytes=SIZE_BYTES) as disk:
        (disk.path / "tables").mkdir()
        with server.database(folder=disk.path / "tables") as url:
            yield disk, url


def stored(url: str) -> list[str]:
    with (
        contextlib.closing(open_database(url, create=False)) as database,
        database.reading() as connection,
    ):
        return sorted(connection.scalars(sa.select(results.c.run_id)))


def _says_full(text: str) -> bool:
    return "disk is full" in text or "No space left" in text


def test_a_full_disk_is_waited_for_and_loses_nothing(
    mosquitto: Mosquitto, small_store: tuple[SmallDisk, str], tmp_path: Path, fault: MakeRow
) -> None:
    disk, url = small_store
    kind = url.split(":", maxsplit=1)[0]
    row = fault(
        f"disk of the store full (a tmpfs, {kind})",
        holds="nothing acknowledged that is not stored, goes on by itself, all arrives once",
    )
    words = ["--broker", mosquitto.url, "--db", url]
    with (
        contextlib.closing(ServeProcess(words, tmp_path / "serve.log")) as serve,
        contextlib.closing(Outboxes(mosquitto.url, devices=DEVICES, each=EACH)) as outboxes,
    ):
        outboxes.send(up_to=EACH // 6)
        assert eventually(lambda: outboxes.acked == _COLLECTED)
        disk.leave(0)
        outboxes.send()
        assert eventually(lambda: "store out of order" in serve.log.read_text())
        assert _says_full(serve.log.read_text())
        # A command that has to write says the same, in a line.
        words = [program("edgewright-fleet"), "group", "add", "bench", "lab/d-0", "--db", url]
        asked = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert (asked.returncode, asked.stderr.count("\n")) == (1, 1)
        assert _says_full(asked.stderr)
        before = outboxes.acked
        assert before <= len(stored(url)) < DEVICES * EACH
        disk.free()
        assert outboxes.deliver(within_s=120)
        row.tried(DEVICES * EACH)
        assert stored(url) == outboxes.run_ids
        assert serve.stop() == 0
    row.came_to(f"{before} acknowledged while it was full, {DEVICES * EACH} afterwards")
