"""Decisions follow what comes in, what the policy file says, and the time that runs take to age."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from fleet.collecting.decider import Decider
from fleet.errors import PolicyError
from fleet.store.catalogue import builds_of
from fleet.store.database import Database, open_database
from fleet.store.decision import choices_of
from fleet.store.roster import device_ids
from fleet.store.schema import decisions, standings
from support.collectors import ServeProcess
from support.devices import DeviceClient, eventually
from support.filling import fill
from support.measurements import make_result, make_run

SLOW = make_run("slow", p50_ms=50.0, top1=0.99)
FAST = make_run("fast", p50_ms=5.0, top1=0.90)
ACCURATE = 'name = "ours"\nobjectives = ["max top1"]\n'
QUICK = 'name = "ours"\nobjectives = ["min p95_ms"]\n'


def chosen(database: Database, policy: str = "ours") -> dict[int, str | None]:
    """Variant of each device's latest decision."""
    with database.reading() as connection:
        found = choices_of(connection, policy, device_ids(connection))
        numbers = [one.pick.build_id for one in found.values() if one.pick.build_id is not None]
        builds = builds_of(connection, numbers)
    return {
        device: builds[one.pick.build_id].variant if one.pick.build_id else None
        for device, one in found.items()
    }


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy file that takes the most accurate."""
    path = tmp_path / "ours.toml"
    path.write_text(ACCURATE)
    return path


def settle(decider: Decider, *, now: float = 1.0) -> None:
    while not decider.is_idle(now=now):
        decider.work(now=now, at_most=1)


def test_a_policy_that_can_be_read_only_once_is_refused(database: Database, tmp_path: Path) -> None:
    """A pipe would be waited for, at the start and at each change."""
    os.mkfifo(tmp_path / "policy.toml")
    with pytest.raises(PolicyError, match="expected a file that stays"):
        Decider(database, str(tmp_path / "policy.toml"))


def test_devices_of_before_are_decided_on_at_the_start_and_new_results_at_once(
    database: Database, policy: Path
) -> None:
    fill(database, "a", SLOW, FAST)
    decider = Decider(database, str(policy))
    settle(decider)
    assert chosen(database) == {1: "slow"}
    fill(database, "b", FAST)
    assert decider.is_idle(now=1.0)
    decider.touch([2])
    settle(decider)
    assert chosen(database) == {1: "slow", 2: "fast"}


def test_an_edited_policy_holds_for_every_device_and_a_malformed_one_for_none(
    database: Database, policy: Path
) -> None:
    fill(database, "a", SLOW, FAST)
    fill(database, "b", SLOW, FAST)
    decider = Decider(database, str(policy))
    settle(decider)
    policy.write_text('name = "ours"\nobjectives = ["min p95')
    settle(decider)
    assert set(chosen(database).values()) == {"slow"}
    policy.write_text(QUICK)
    settle(decider)
    assert set(chosen(database).values()) == {"fast"}


def test_a_device_that_cannot_be_decided_on_costs_no_other_its_decision(
    database: Database, policy: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "abc":
        fill(database, name, SLOW, FAST)
    decider = Decider(database, str(policy))
    settle(decider)
    with database.writing() as connection:
        damaged = sa.update(standings).where(standings.c.device_id == 2)
        connection.execute(damaged.values(entries=b"no entry"))
    policy.write_text(QUICK)
    decider.work(now=2.0, at_most=10)
    assert chosen(database) == {1: "fast", 2: "slow", 3: "fast"}
    assert decider.is_idle(now=2.0)
    assert "device not decided on number=2" in caplog.text


def test_runs_that_grow_too_old_are_noticed_though_nothing_comes(
    database: Database, policy: Path
) -> None:
    policy.write_text(QUICK + "[evidence]\nmax_age_days = 2\n")
    fill(database, "a", SLOW, FAST)
    decider = Decider(database, str(policy))
    received_at = 1_700_000_000.0
    settle(decider, now=received_at)
    assert chosen(database) == {1: "fast"}
    settle(decider, now=received_at + 3 * 86400)
    assert chosen(database) == {1: None}


def test_a_malformed_policy_is_refused_at_the_start(database: Database, policy: Path) -> None:
    policy.write_text("name = 1")
    with pytest.raises(PolicyError, match="name"):
        Decider(database, str(policy))


def test_serve_decides_as_results_come_and_once_for_each_change(
    start_serve: Callable[..., ServeProcess],
    connect: Callable[..., DeviceClient],
    policy: Path,
    store_url: str,
) -> None:
    serve = start_serve("--listen", "127.0.0.1:0", "--policy", str(policy))
    device = connect(serve.url)
    device.send(make_result(1, FAST))
    database = open_database(store_url, create=False)
    try:
        assert eventually(lambda: chosen(database) == {1: "fast"})
        device.send(make_result(2, SLOW))
        assert eventually(lambda: chosen(database) == {1: "slow"})
        policy.write_text(QUICK)
        assert eventually(lambda: chosen(database) == {1: "fast"})
        with database.reading() as connection:
            assert connection.scalar(sa.select(sa.func.count()).select_from(decisions)) == 3
    finally:
        database.close()
