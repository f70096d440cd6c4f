"""A device's clock starts in 1970, is years ahead, or jumps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.rebench import Rebench
from contract.messages import Presence, State, encode_message
from contract.topics import Leaf, topic_for
from fleet.choosing.policy import load_policy
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.database import open_database
from fleet.store.evidence import runs_of
from fleet.store.recommendation import recommend
from fleet.store.roster import find_device, list_devices
from support.faults.device import DEVICE, SITE, Device
from support.faults.store import Store
from support.faults.table import Row
from support.measurements import make_run

MakeRow = Callable[..., Row]
NOW, YEAR, HOUR = 1_800_000_000.0, 365 * 86_400.0, 3600.0


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = Device(tmp_path / "state")
    yield made
    made.close()


class Clocks:
    """A clock that may be set, and an uptime that only grows."""

    def __init__(self, now: float) -> None:
        self.now, self.uptime = now, 100.0

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.uptime += seconds

    def rebench(self, hours: float) -> Rebench:
        return Rebench(hours, clock=lambda: self.now, uptime=lambda: self.uptime)


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("clock at 1970", [0.0, 60.0, 120.0, 180.0]),
        ("clock falls back by years during a sweep", [NOW, NOW - 9 * YEAR, NOW - 9 * YEAR, 5.0]),
        ("clock jumps ahead by years during a sweep", [5.0, NOW, NOW + 70 * YEAR, NOW + 70 * YEAR]),
        ("clock before 1970", [-5.0, -4.0, -1e9, 0.0]),
    ],
)
def test_runs_are_kept_stored_and_chosen_in_the_order_they_were_made(
    device: Device, tmp_path: Path, fault: MakeRow, name: str, times: list[float]
) -> None:
    """The newest run of a variant is the one in the last place, whatever the clock said."""
    row = fault(name, holds="runs arrive, the last made one counts as the newest")
    sweep = device.sweeplog.begin(set_id="0123456789abcdef", fingerprint="fp-1").sweep_id
    for number, started_at in enumerate(times):
        run = make_run(
            sweep_id=sweep, run_id=f"run-{number}", started_at=started_at, p50_ms=10.0 + number
        )
        device.keeper.keep(run)
        row.tried()
    device.sweeplog.finish(sweep, at=times[-1])
    store = Store(tmp_path / "fleet.db")
    device.deliver(store)
    store.close()

    database = open_database(f"sqlite:///{tmp_path / 'fleet.db'}", create=False)
    with database.reading() as connection:
        stored = find_device(list_devices(connection), f"{SITE}/{DEVICE}")
        runs = runs_of(connection, stored)
        assert [one.run.run_id for one in runs] == [f"run-{n}" for n in range(len(times))]
    (found,) = recommend(database, load_policy("most-accurate"), [stored.id], now=1.0)
    (candidate,) = found.evidence.candidates
    database.close()
    assert candidate.run_id == f"run-{len(times) - 1}"
    row.came_to(f"{len(runs)} stored in order")


def test_a_box_that_starts_in_1970_is_not_measured_at_each_start(
    device: Device, fault: MakeRow
) -> None:
    """Its last sweep lies in the future until the clock is set, and is not old then either."""
    row = fault("clock at 1970 at each of many starts", holds="no sweep at a start")
    sweep = device.sweeplog.begin(set_id="set", fingerprint="fp").sweep_id
    device.sweeplog.finish(sweep, at=NOW)
    state = device.sweeplog.latest()
    assert state is not None
    for start in range(50):
        clocks = Clocks(0.0)
        rebench = clocks.rebench(hours=168)
        assert not rebench.is_due(state)
        clocks.pass_by(60)
        assert not rebench.is_due(state)
        clocks.now = NOW + start * HOUR  # the network tells the time
        assert not rebench.is_due(state)
        row.tried()
    row.came_to("none of the starts measured again")


def test_a_sweep_that_ended_in_the_future_is_measured_again_in_time(
    device: Device, fault: MakeRow
) -> None:
    """Not at once, and not only when the clock gets there."""
    row = fault("a sweep ended in 2090, then the clock was set right", holds="one sweep a period")
    sweep = device.sweeplog.begin(set_id="set", fingerprint="fp").sweep_id
    device.sweeplog.finish(sweep, at=NOW + 60 * YEAR)
    clocks = Clocks(NOW)
    rebench = clocks.rebench(hours=168)
    sweeps = hours = 0
    while hours < 3 * 168:
        state = device.sweeplog.latest()
        assert state is not None
        if rebench.is_due(state):
            sweeps += 1
            again = device.sweeplog.begin(set_id="set", fingerprint="fp").sweep_id
            device.sweeplog.finish(again, at=clocks.now)
        clocks.pass_by(HOUR)
        hours += 1
        row.tried()
    assert sweeps == 2
    row.came_to(f"{sweeps} sweeps in {hours // 168} periods, the first after one period")


def test_a_late_last_will_of_a_boot_with_a_right_clock_does_not_hide_one_in_1970(
    tmp_path: Path, fault: MakeRow
) -> None:
    """Whether a device is online is told by its boots, not by its clock."""
    row = fault("a boot in 1970 follows one in the present", holds="the device is online")
    database = open_database(f"sqlite:///{tmp_path / 'fleet.db'}", create=True)
    for presence, boot, at in (
        (Presence.ONLINE, "right", NOW),
        (Presence.ONLINE, "in-1970", 30.0),
        (Presence.OFFLINE, "right", NOW),
    ):
        state = State(
            site=SITE, device=DEVICE, presence=presence, boot_id=boot, connection=1, at=at
        )
        topic = topic_for(SITE, DEVICE, Leaf.STATE)
        delivery = Delivery(
            topic=topic, payload=encode_message(state), retained=False, received_at=NOW
        )
        Intake(database).take([delivery], now=NOW)
        row.tried()
    with database.reading() as connection:
        (device,) = list_devices(connection)
    database.close()
    assert device.presence is Presence.ONLINE
    row.came_to("online")
