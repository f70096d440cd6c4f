"""`backup` while a device delivers, `restore` after more was stored: nothing is lost or doubled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from fleet.store.database import open_database
from fleet.store.outbox import watermarks_of
from fleet.store.roster import device_ids
from fleet.store.schema import results
from support.brokers import Mosquitto
from support.collectors import ServeProcess
from support.faults.live import Box
from support.faults.table import Row
from support.processes import run_json, wait_until

MakeRow = Callable[..., Row]
FIRST, LATER = [f"a{number}" for number in range(5)], [f"b{number}" for number in range(5)]


@pytest.fixture(params=["sqlite", "postgresql"])
def new_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where the backup is restored: in the old file's place, or on a server."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'fleet.db'}"
        return
    with request.getfixturevalue("postgres").database() as url:
        yield url


def stored(url: str) -> list[str]:
    with (
        contextlib.closing(open_database(url, create=False)) as database,
        database.reading() as connection,
    ):
        return list(connection.scalars(sa.select(results.c.run_id).order_by(results.c.seq)))


def missing(url: str) -> int:
    with (
        contextlib.closing(open_database(url, create=False)) as database,
        database.reading() as connection,
    ):
        (number,) = device_ids(connection)
        return sum(one.missing for one in watermarks_of(connection, number).values())


def test_a_fleet_restored_by_its_own_commands_gets_everything_again(
    mosquitto: Mosquitto, tmp_path: Path, new_url: str, fault: MakeRow
) -> None:
    """The device hears that less is stored than before, and sends again; nobody touches it."""
    row = fault(
        f"fleet backed up, and restored to {new_url.split(':', maxsplit=1)[0]}",
        holds="later results come again once, the device follows the next generation",
    )
    old_url, backup = f"sqlite:///{tmp_path / 'fleet.db'}", tmp_path / "backup.zip"
    box = Box(tmp_path / "box", mosquitto.url)
    words = ["--broker", mosquitto.url]

    def deliver(names: list[str], top1: float) -> None:
        box.measure(*names, top1=top1)
        row.tried(len(names))
        wait_until("all is stored", lambda: box.is_delivered)

    def apply(url: str) -> int:
        (rollout,) = run_json("edgewright-fleet", "apply", *words, "--db", url)
        generation = int(rollout["desired"]["generation"])
        standing = box.device.activation
        wait_until("the device follows", lambda: standing.standing.generation == generation)
        return generation

    with contextlib.ExitStack() as stack:
        stack.callback(box.close)
        serve = ServeProcess([*words, "--db", old_url], tmp_path / "serve.log")
        stack.callback(serve.close)
        box.start()
        deliver(FIRST, 0.90)
        assert apply(old_url) == 1
        made = run_json("edgewright-fleet", "backup", backup, "--db", old_url)
        assert made["bytes"] == backup.stat().st_size
        deliver(LATER, 0.95)
        assert apply(old_url) == 2
        serve.stop()

        again = run_json("edgewright-fleet", "restore", backup, "--force", "--db", new_url)
        assert (again["set_aside"] is not None) == (new_url == old_url)
        assert stored(new_url) == FIRST
        serve = ServeProcess([*words, "--db", new_url], tmp_path / "serve-2.log")
        stack.callback(serve.close)
        wait_until("what came later is there", lambda: stored(new_url) == [*FIRST, *LATER])
        assert missing(new_url) == 0
        deliver(["c"], 0.99)
        assert apply(new_url) == 3
        assert stored(new_url) == [*FIRST, *LATER, "c"]
        assert box.is_delivered
        (told,) = run_json("edgewright-fleet", "devices", "--db", new_url)
        assert (told["identity"], told["complete"]) == ("ok", True)
        row.came_to(f"{len(LATER)} came again, generation 3 is followed")
