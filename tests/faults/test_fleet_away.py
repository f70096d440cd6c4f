"""The broker is away for a week, or the fleet comes back from an older backup."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.courier import Courier, Patience
from contract.access import Access
from contract.address import parse_broker_url
from contract.messages import Desired, Update, encode_message
from contract.topics import Leaf, topic_for
from fleet.choosing.policy import load_policy
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.recommendation import recommend
from fleet.store.rollout import plan_rollout, store_rollout
from fleet.store.roster import list_devices
from support.brokers import free_port
from support.faults.device import DEVICE, SITE, Device, run_of
from support.faults.store import Store
from support.faults.table import Row
from support.measurements import make_run
from support.processes import wait_until

MakeRow = Callable[..., Row]
VARIANTS = [f"net-p{share}" for share in range(10, 70, 10)]
#: A sweep of six variants an hour, each run with as many samples as make 2 kB.
HOURS = 7 * 24
LIMIT_BYTES = 400_000


def test_after_a_week_without_a_broker_all_that_is_kept_arrives(
    fast_folder: Path, fault: MakeRow
) -> None:
    """The space stays bounded, superseded runs go first, and every one that went is named."""
    row = fault(
        "broker away for a week",
        holds="space bounded, newest run of every variant arrives, the rest is named as dropped",
    )
    device = Device(fast_folder / "week", limit_bytes=LIMIT_BYTES)
    for hour in range(HOURS):
        sweep = device.sweeplog.begin(set_id="set", fingerprint="fp-1").sweep_id
        for variant in VARIANTS:
            run = run_of(sweep, f"{variant}-{hour}", variant=variant, samples=100)
            device.keeper.keep(run)
            row.tried()
        device.sweeplog.finish(sweep, at=hour * 3600.0)
    assert device.keeper.backlog == 0
    assert (device.state_dir / "agent.sqlite").stat().st_size <= LIMIT_BYTES
    store = Store(fast_folder / "week.db")
    device.deliver(store)

    arrived = store.run_ids()
    assert set(arrived[-len(VARIANTS) :]) == {f"{variant}-{HOURS - 1}" for variant in VARIANTS}
    assert len(set(arrived)) == len(arrived)
    (stone,) = store.tombstones()
    first, last, reason = stone
    assert (first, reason) == (1, "outbox full, superseded dropped")
    assert last + len(arrived) == HOURS * len(VARIANTS)
    assert store.missing() == 0
    device.close()
    store.close()
    row.came_to(f"{len(arrived)} arrived, {last} superseded in one tombstone")


def test_while_the_broker_is_away_every_device_waits_for_a_time_of_its_own(
    fast_folder: Path, fault: MakeRow, caplog: pytest.LogCaptureFixture
) -> None:
    """Waits grow up to a bound, and devices that lost it together do not return together."""
    row = fault(
        "many devices lose one broker", holds="waits grow up to the bound, drawn by each device"
    )
    patience = Patience(reconnect_first_s=0.01, reconnect_most_s=0.08)
    address = parse_broker_url(f"mqtt://127.0.0.1:{free_port()}")
    waits: dict[str, list[float]] = defaultdict(list)
    lock = threading.Lock()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage() == "broker_away":
                with lock:
                    waits[str(record.thread)].append(record.fields["again_in_s"])  # type: ignore[attr-defined]

    devices = [Device(fast_folder / f"away-{number}") for number in range(8)]
    couriers = [
        Courier(
            address,
            access=Access(),
            site=SITE,
            device=f"{DEVICE}-{number}",
            boot_id="boot",
            outbox=device.outbox,
            patience=patience,
        )
        for number, device in enumerate(devices)
    ]
    listener = Listener()
    logger = logging.getLogger("agent.courier")
    logger.addHandler(listener)
    with caplog.at_level(logging.INFO, logger="agent.courier"):
        for courier in couriers:
            courier.start(on_desired=lambda _: None)
        wait_until(
            "each tried six times",
            lambda: len(waits) == 8 and min(map(len, list(waits.values()))) >= 6,
        )
        for courier in couriers:
            courier.stop()
    logger.removeHandler(listener)
    for device in devices:
        device.close()
    row.tried(sum(map(len, waits.values())))
    for drawn in waits.values():
        bounds = [min(0.01 * 2**tries, 0.08) for tries in range(len(drawn))]
        assert all(bound / 4 <= s <= bound for s, bound in zip(drawn, bounds, strict=True))
    sequences = {tuple(drawn[:6]) for drawn in waits.values()}
    assert len(sequences) == len(devices), "two devices drew the same waits"
    row.came_to(f"{len(sequences)} devices, {len(sequences)} different series of waits")


def test_a_fleet_restored_from_a_backup_gets_again_what_devices_keep(
    fast_folder: Path, fault: MakeRow
) -> None:
    """Nothing is stored twice; what the device keeps no longer is closed and named."""
    row = fault(
        "fleet restored from an older backup",
        holds="what the device keeps arrives again once, the rest is closed with a reason",
    )
    device, store = Device(fast_folder / "restored"), Store(fast_folder / "restored.db")
    backup = fast_folder / "backup.db"
    sweep = device.sweeplog.begin(set_id="set", fingerprint="fp-1").sweep_id

    def measure(first: int, last: int) -> None:
        for number in range(first, last + 1):
            device.keeper.keep(run_of(sweep, f"run-{number}", variant=f"net-p{number % 90:02}"))
            row.tried()
        device.deliver(store, at_once=64)

    measure(1, 20)
    store.copy(backup)
    measure(21, 600)
    assert len(store.run_ids()) == 600
    store.restore(backup)
    measure(601, 605)

    arrived = store.run_ids()
    (stone,) = store.tombstones()
    first, last, reason = stone
    assert first == 21, "what the backup held was not touched"
    assert "no longer kept on the device" in reason
    assert arrived == [f"run-{n}" for n in (*range(1, 21), *range(last + 1, 606))]
    assert store.missing() == 0
    assert store.quarantine() == []
    device.close()
    store.close()
    row.came_to(f"{600 - last} arrived again, {last - first + 1} closed as no longer kept")


class Chooser:
    """A fleet that measures, chooses and desires, and a device that follows."""

    def __init__(self, folder: Path, device: Device) -> None:
        self.store = Store(folder / "choosing.db")
        self.device = device
        self._database = self.store.database
        self._sweep = device.sweeplog.begin(set_id="0123456789abcdef", fingerprint="fp-1").sweep_id

    def measure(self, variant: str, top1: float) -> None:
        run = make_run(variant, sweep_id=self._sweep, run_id=variant, top1=top1)
        self.device.keeper.keep(run)
        self.device.deliver(self.store)

    def desire(self) -> Desired:
        """Apply the recommendation of the moment."""
        with self._database.reading() as connection:
            (device,) = list_devices(connection)
        (found,) = recommend(self._database, load_policy("most-accurate"), [device.id], now=1.0)
        with self._database.writing() as connection:
            rollout = plan_rollout(connection, found, now=1.0)
            store_rollout(connection, rollout, decision_id=found.id)
        assert rollout.desired is not None
        return rollout.desired

    def follow(self, wanted: Desired) -> None:
        """Let the device settle, if that is news to it, and tell the fleet."""
        activation = self.device.activation
        if activation.is_news(wanted):
            activation.settle(activation.standing.adopting(wanted))
        standing = activation.standing
        update = Update(
            site=SITE,
            device=DEVICE,
            at=1.0,
            phase=standing.phase,
            generation=standing.generation,
            active_variant=standing.active_variant,
        )
        topic = topic_for(SITE, DEVICE, Leaf.UPDATE)
        delivery = Delivery(
            topic=topic, payload=encode_message(update), retained=True, received_at=1.0
        )
        Intake(self._database).take([delivery], now=1.0)


def test_a_fleet_restored_from_a_backup_is_obeyed_again(fast_folder: Path, fault: MakeRow) -> None:
    """It desires under a generation that the device has not seen yet."""
    row = fault(
        "fleet restored, desires anew", holds="the device follows, though it saw later ones"
    )
    device = Device(fast_folder / "obeying")
    chooser = Chooser(fast_folder, device)
    chooser.measure("net-a", 0.90)
    chooser.follow(chooser.desire())
    chooser.store.copy(fast_folder / "obeyed.db")
    for variant, top1 in (("net-b", 0.93), ("net-c", 0.96)):
        chooser.measure(variant, top1)
        chooser.follow(chooser.desire())
        row.tried()
    assert device.activation.standing.generation == 3
    chooser.store.restore(fast_folder / "obeyed.db")
    chooser.measure("net-d", 0.99)
    chooser.follow(device.activation.standing.desired)
    chooser.follow(chooser.desire())
    standing = device.activation.standing
    assert (standing.active_variant, standing.generation) == ("net-d", 4)
    again = chooser.desire()
    assert again.generation == 4, "what is followed is not desired once more"
    row.came_to(f"followed again from generation {standing.generation}")
    chooser.store.close()
    device.close()
