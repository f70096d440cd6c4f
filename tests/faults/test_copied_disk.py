"""A device's disk is copied: to a second box, or back from an older image."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from support.faults.device import Device, run_of
from support.faults.store import Store
from support.faults.table import Row

MakeRow = Callable[..., Row]


class Pair:
    """One device, a copy of its disk from some moment, and the fleet's store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.store = Store(folder / "fleet.db")
        self.first = Device(folder / "first")
        self._sweep = self.first.sweeplog.begin(set_id="set", fingerprint="fp-1").sweep_id

    def measure(self, device: Device, *names: str) -> None:
        for name in names:
            device.keeper.keep(run_of(self._sweep, name, variant=f"net-{name}"))

    def copy(self) -> Device:
        """Copy of the first one's disk, in a box of its own."""
        self.first.close()
        shutil.copytree(self._folder / "first", self._folder / "second")
        self.first = Device(self._folder / "first")
        return Device(self._folder / "second")


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


def test_two_boxes_with_one_disk_image_lose_nothing(pair: Pair, fault: MakeRow) -> None:
    """Whatever the second one measured arrives, though the first one's runs took the places."""
    row = fault(
        "state folder copied to a second box, which is slower",
        holds="runs of both arrive once, the second starts an outbox of its own",
    )
    pair.measure(pair.first, "a1", "a2")
    pair.first.deliver(pair.store)
    pair.measure(pair.first, "a3")
    second = pair.copy()
    for number in range(4):
        pair.measure(pair.first, f"first-{number}")
        pair.measure(second, f"second-{number}")
        row.tried(2)
    pair.first.deliver(pair.store)
    second.deliver(pair.store)
    second_runs = [f"second-{number}" for number in range(4)]
    first_runs = ["a1", "a2", "a3", *(f"first-{number}" for number in range(4))]
    assert pair.store.run_ids() == first_runs + second_runs
    assert len(pair.store.epochs()) == 2
    assert pair.store.missing() == 0
    row.came_to(f"{len(first_runs) + len(second_runs)} runs, two outboxes")


def test_two_boxes_that_send_at_once_are_found_out(pair: Pair, fault: MakeRow) -> None:
    """The fleet says that two devices share one identity, and still gets all runs."""
    row = fault(
        "state folder copied to a second box, both send at once",
        holds="quarantine names the second box, runs of both arrive once",
    )
    pair.measure(pair.first, "a1")
    second = pair.copy()
    for number in range(4):
        pair.measure(pair.first, f"first-{number}")
        pair.measure(second, f"second-{number}")
        row.tried(2)
    pair.store.take([parcel.payload for parcel in pair.first.outbox.pending(3)])
    pair.store.take([parcel.payload for parcel in second.outbox.pending(4)])
    assert "share one identity" in pair.store.quarantine()[0]
    second.deliver(pair.store)
    pair.first.deliver(pair.store)
    expected = {"a1", *(f"{box}-{n}" for box in ("first", "second") for n in range(4))}
    arrived = pair.store.run_ids()
    assert (set(arrived), len(arrived)) == (expected, len(expected))
    row.came_to(f"{len(pair.store.quarantine())} in quarantine, all {len(arrived)} runs stored")


@pytest.mark.parametrize("way", ["hears first", "sends first"])
def test_a_device_restored_from_an_older_image_loses_nothing(
    pair: Pair, fault: MakeRow, way: str
) -> None:
    """It forgot places that the fleet has already, and starts an outbox of its own."""
    row = fault(
        f"device restored from an older disk image, {way}",
        holds="old and new runs are stored once",
    )
    pair.measure(pair.first, "a1", "a2", "a3")
    image = pair.copy()
    pair.measure(pair.first, "b1", "b2")
    pair.first.deliver(pair.store)
    pair.measure(image, "c1", "c2", "c3", "c4")
    row.tried(9)
    if way == "sends first":
        pair.store.take([parcel.payload for parcel in image.outbox.pending(8)])
    image.deliver(pair.store)
    assert sorted(pair.store.run_ids()) == [
        *("a1", "a2", "a3"),
        *("b1", "b2"),
        *("c1", "c2", "c3", "c4"),
    ]
    assert image.outbox.epoch != pair.first.outbox.epoch
    row.came_to("what was on the image and stored already was sent again, and not stored twice")
