"""A device's week in short, to be recorded: `python -m support.faults.scenario FOLDER MARKS`.

The agent's files are in FOLDER; the fleet's store and copies of it lie beside MARKS. Each
line of MARKS states what the agent had been promised, or promised, at that moment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec

from agent.outbox import Parcel
from contract.benchmark import BenchRun
from support.faults.device import Device, desired, run_of, turn_of
from support.faults.store import Store


class Promise(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One mark."""

    #: The agent said that this run is stored, in this place.
    kept: str = ""
    seq: int = 0
    #: The agent began to make room.
    may_drop: bool = False
    #: Copy of the fleet's store from now on.
    store: str = ""
    #: The agent said that it settled on this generation, or began to.
    settled: int = 0
    settling: int = 0
    epoch: str = ""
    #: How many turns of the sweep in progress are noted; 0 where a sweep begins or ends.
    turns: int | None = None


class Scenario:
    """Does things to a device and says so."""

    def __init__(self, folder: Path, marks: Path, *, samples: int) -> None:
        self._state_dir = folder / "lib" / "state"
        self._marks = os.open(marks, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._copies = marks.parent
        self._store = Store(marks.parent / "fleet.db")
        self._samples = samples
        self._copied = 0
        self.device = self._open()

    def _open(self) -> Device:
        device = Device(self._state_dir)
        self._promise(Promise(epoch=device.outbox.epoch))
        return device

    def restart(self) -> None:
        self.device.close()
        self.device = self._open()

    def note_turns(self, sweep_id: str, variant: str, count: int) -> None:
        for number in range(1, count + 1):
            self.device.sweeplog.note(sweep_id, turn_of(variant, number))
            self._promise(Promise(turns=number))

    def begin_sweep(self) -> str:
        self._promise(Promise(turns=0))
        return self.device.sweeplog.begin(set_id="set", fingerprint="fp-1").sweep_id

    def keep(self, sweep_id: str, name: str, variant: str) -> None:
        run: BenchRun = run_of(sweep_id, name, variant=variant, samples=self._samples)
        self.device.keeper.keep(run)
        assert self.device.keeper.backlog == 0
        last = max(parcel.seq for parcel in self.device.outbox.pending(1000))
        self._promise(Promise(kept=name, seq=last))

    def send(self, at_most: int) -> list[Parcel]:
        parcels = self.device.outbox.pending(at_most)
        self._store.take([parcel.payload for parcel in parcels])
        self._copied += 1
        copy = self._copies / f"fleet-{self._copied}.db"
        self._store.copy(copy)
        self._promise(Promise(store=copy.name))
        return parcels

    def hear(self) -> None:
        self.device.hear(self._store)

    def settle(self, generation: int, variant: str) -> None:
        self._promise(Promise(settling=generation))
        activation = self.device.activation
        activation.settle(activation.standing.adopting(desired(generation, variant)))
        self._promise(Promise(settled=generation))

    def finish(self, sweep_id: str) -> None:
        self._promise(Promise(turns=0))
        self.device.sweeplog.finish(sweep_id, at=1000.0)

    def make_room(self) -> None:
        self._promise(Promise(may_drop=True))
        self.device.outbox.make_room()

    def _promise(self, promise: Promise) -> None:
        os.write(self._marks, msgspec.json.encode(promise) + b"\n")


def main(folder: Path, marks: Path, kind: str) -> None:
    """Play the scenario of this name."""
    if kind == "heavy":
        _heavy(Scenario(folder, marks, samples=4000))
    else:
        _short(Scenario(folder, marks, samples=40))


def _short(scene: Scenario) -> None:
    first = scene.begin_sweep()
    scene.note_turns(first, "net-base", 2)
    for number, variant in enumerate(("net-base", "net-p10", "net-sq8"), 1):
        scene.keep(first, f"run-{number}", variant)
    scene.send(2)
    scene.hear()
    scene.settle(1, "net-sq8")
    scene.finish(first)
    scene.restart()
    second = scene.begin_sweep()
    for number, variant in enumerate(("net-base", "net-p10", "net-sq8"), 4):
        scene.keep(second, f"run-{number}", variant)
    scene.send(3)
    scene.settle(2, "net-p10")
    scene.make_room()
    scene.make_room()
    scene.make_room()
    scene.keep(second, "run-7", "net-dq8")
    scene.finish(second)
    scene.hear()
    scene.send(100)
    scene.hear()
    scene.device.close()


def _heavy(scene: Scenario) -> None:
    """Enough for SQLite to write its log back into the database on the way."""
    sweep = scene.begin_sweep()
    for number in range(70):
        scene.keep(sweep, f"run-{number}", f"net-p{number % 90:02}")
        if number % 10 == 9:
            scene.send(7)
            scene.hear()
    scene.send(100)
    scene.hear()
    scene.device.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
