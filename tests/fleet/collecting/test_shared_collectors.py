"""Collectors that share a broker and a PostgreSQL: they die, and nothing is lost or twice."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from contract.messages import encode_message
from contract.topics import Leaf
from fleet.authority.authority import Authority
from fleet.store.database import open_database
from fleet.store.schema import results
from support.accounts import Cast, GuardedMosquitto, own
from support.brokers import Mosquitto
from support.collectors import ServeProcess, share_of
from support.devices import eventually
from support.faults.table import Row
from support.measurements import make_result, make_run
from support.outboxes import Outboxes
from support.postgres import PostgresServer
from support.stores import ON_POSTGRESQL

pytestmark = ON_POSTGRESQL

StartServe = Callable[..., ServeProcess]
MakeRow = Callable[..., Row]
DEVICES, EACH = 20, 100
_EQUAL = "published, stored and acknowledged are equal"


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    """A server of this module's own, for a test kills it."""
    with contextlib.closing(PostgresServer()) as server:
        yield server


@pytest.fixture
def outboxes(mosquitto: Mosquitto) -> Iterator[Outboxes]:
    """Devices with results to deliver."""
    with contextlib.closing(Outboxes(mosquitto.url, devices=DEVICES, each=EACH)) as devices:
        yield devices


def stored_run_ids(store_url: str) -> list[str]:
    with (
        contextlib.closing(open_database(store_url, create=False)) as database,
        database.reading() as connection,
    ):
        return sorted(connection.scalars(sa.select(results.c.run_id)))


def test_results_are_spread_over_the_collectors_and_stored_once(
    start_serve: StartServe, mosquitto: Mosquitto, outboxes: Outboxes, store_url: str
) -> None:
    words = ("--broker", mosquitto.url, "--shared", "-v")
    collectors = [start_serve(*words) for _ in range(3)]
    outboxes.send()
    assert outboxes.deliver(within_s=60)
    assert stored_run_ids(store_url) == outboxes.run_ids
    assert all(collector.stop() == 0 for collector in collectors)
    shares = [share_of(collector) for collector in collectors]
    assert sum(shares) == DEVICES * EACH
    assert min(shares) > 0


def test_killed_collectors_lose_nothing_because_devices_send_again(
    start_serve: StartServe,
    mosquitto: Mosquitto,
    outboxes: Outboxes,
    store_url: str,
    fault: MakeRow,
) -> None:
    """Two of three die, one after the other, each while results come in."""
    row = fault("SIGKILL of two of three collectors that share", holds=_EQUAL)
    words = ("--broker", mosquitto.url, "--shared")
    collectors = [start_serve(*words) for _ in range(3)]
    for number in (0, 1):
        outboxes.send(up_to=(number + 1) * EACH // 2)
        collectors[number].stop(signal.SIGKILL)
    assert outboxes.deliver(within_s=120)
    assert stored_run_ids(store_url) == outboxes.run_ids
    row.tried()
    row.came_to(f"{outboxes.acked} each")


def test_a_killed_database_that_comes_back_has_everything_once(
    start_serve: StartServe,
    mosquitto: Mosquitto,
    outboxes: Outboxes,
    postgres: PostgresServer,
    store_url: str,
    fault: MakeRow,
) -> None:
    """It dies while results come in, is away for a while, and recovers; collectors wait."""
    row = fault("SIGKILL of PostgreSQL", holds=_EQUAL)
    collectors = [start_serve("--broker", mosquitto.url, "--shared") for _ in range(2)]
    outboxes.send(up_to=EACH // 2)
    postgres.kill()
    outboxes.send()
    assert eventually(lambda: any("out of order" in one.log.read_text() for one in collectors))
    postgres.start()
    assert outboxes.deliver(within_s=120)
    assert stored_run_ids(store_url) == outboxes.run_ids
    row.tried()
    row.came_to(f"{outboxes.acked} each")
    assert all(collector.process.poll() is None for collector in collectors)


def test_a_killed_broker_that_comes_back_has_everything_once(
    start_serve: StartServe,
    mosquitto: Mosquitto,
    outboxes: Outboxes,
    store_url: str,
    fault: MakeRow,
) -> None:
    """It forgets what was on its way; collectors and devices connect again by themselves."""
    row = fault("SIGKILL of Mosquitto (with persistence)", holds=_EQUAL)
    collectors = [start_serve("--broker", mosquitto.url, "--shared") for _ in range(2)]
    outboxes.send(up_to=EACH // 2)
    mosquitto.kill()
    outboxes.send()
    mosquitto.start()
    assert outboxes.deliver(within_s=120)
    assert stored_run_ids(store_url) == outboxes.run_ids
    row.tried()
    row.came_to(f"{outboxes.acked} each")
    assert all(collector.process.poll() is None for collector in collectors)


def test_the_rules_for_mosquittos_accounts_let_collectors_share(
    start_serve: StartServe, mosquitto_program: str, tmp_path: Path
) -> None:
    authority = Authority.open(tmp_path / "authority")
    with (
        GuardedMosquitto(authority, tmp_path / "etc", mosquitto_program).running() as guarded,
        contextlib.closing(Cast(guarded)) as cast,
    ):
        cast.enroll("box")
        assert eventually(lambda: cast.device("box").is_in)
        words = ("--broker", str(guarded.address), "--authority", str(authority.folder))
        collectors = [start_serve(*words, "--shared", "-v") for _ in range(2)]
        device = cast.device("box")
        assert device.subscribe(own("box", Leaf.ACK)) == [True]
        for seq in range(1, EACH + 1):
            result = make_result(seq, make_run(run_id=f"run-{seq}"))
            device.publish(own("box", Leaf.RESULT), encode_message(result))
        assert eventually(lambda: any(f'"through":{EACH}'.encode() in p for _, p in device.heard))
        assert all(collector.stop() == 0 for collector in collectors)
        shares = [share_of(collector) for collector in collectors]
        assert sum(shares) == EACH
        assert min(shares) > 0


def test_sharing_needs_a_broker_of_its_own(store_url: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fleet", "serve", "--shared", "--db", store_url],
        check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "name it with --broker" in done.stderr
    assert not list(tmp_path.iterdir())
