"""The power goes at any moment: only what was synced before is sure to be there afterwards."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.faults.disk import Cut, power_cuts
from support.faults.fleet_scenario import RESULTS, payload, store_path
from support.faults.promises import Bench
from support.faults.store import Store
from support.faults.table import Row
from support.faults.trace import Mark, Recording, Step, Sync, Write, record

MakeRow = Callable[..., Row]
HOLDS = "kept runs arrive once, outbox goes on, standing is old or new"


class Lab:
    """Records a scenario of a device and looks at what each cut leaves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def record(self, kind: str) -> Recording:
        """Steps of a device that plays a scenario."""
        home = self._folder / kind
        (home / "device").mkdir(parents=True)
        marks = home / "marks"
        module = "support.faults.fleet_scenario" if kind == "fleet" else "support.faults.scenario"
        words = [sys.executable, "-m", module, str(home / "device"), str(marks), kind]
        return record(words, folder=home / "device", marks=marks)

    def broken(self, kind: str, cuts: Iterator[Cut], row: Row) -> Counter[str]:
        """What does not hold after each of the cuts, counted."""
        scratch = self._folder / f"{kind}-cuts"
        scratch.mkdir(exist_ok=True)
        bench = Bench(scratch, self._folder / kind)
        broken: Counter[str] = Counter()
        for cut in cuts:
            row.tried()
            broken.update(f"{words} ({cut.how}, step {cut.after})"
                          for words in bench.broken_promises(cut))  # fmt: skip
        bench.close()
        return broken


@pytest.fixture(scope="module")
def lab(fast_folder: Path) -> Lab:
    return Lab(fast_folder)


@pytest.fixture(scope="module")
def recording(lab: Lab) -> Recording:
    """Two sweeps with deliveries, acknowledgements, two settlings, a restart and a full outbox."""
    return lab.record("short")


def syncs(recording: Recording) -> int:
    return sum(isinstance(step, Sync) for step in recording.steps)


def test_after_a_power_cut_at_any_step_nothing_kept_is_lost(
    lab: Lab, recording: Recording, fault: MakeRow
) -> None:
    """Before, between and after all syncs, with unsynced writes lost, kept, reordered or torn."""
    row = fault("power cut of the device, at every step", holds=HOLDS)
    broken = lab.broken("short", power_cuts(recording, seeds=2), row)
    assert not broken, broken.most_common(5)
    row.came_to(f"nothing lost over {len(recording.steps)} steps with {syncs(recording)} syncs")


def test_after_a_power_cut_while_the_log_is_written_back_nothing_kept_is_lost(
    lab: Lab, fault: MakeRow
) -> None:
    """SQLite copies its log into the database now and then: both are half written by then."""
    row = fault("power cut while the log is written back", holds=HOLDS)
    recording = lab.record("heavy")
    sizes = Counter(step.inode for step in recording.steps if isinstance(step, Write))
    log, database = (inode for inode, _ in sizes.most_common(2))
    assert log != database

    def is_wanted(number: int, step: Step) -> bool:
        writes_back = isinstance(step, Write) and step.inode == database and number % 64 == 0
        return writes_back or (isinstance(step, Sync) and step.inode == database)

    broken = lab.broken("heavy", power_cuts(recording, seeds=2, is_wanted=is_wanted), row)
    assert not broken, broken.most_common(5)
    row.came_to(f"nothing lost over {sizes[database]} pages written back")


def test_after_a_power_cut_of_the_fleet_what_it_acknowledged_is_stored(
    lab: Lab, fast_folder: Path, fault: MakeRow
) -> None:
    """At every sync of its store; devices send again what was not acknowledged."""
    row = fault("power cut of the fleet's host", holds="acknowledged results stay, all arrive once")
    recording = lab.record("fleet")
    folder = fast_folder / "fleet-cut"
    cuts = power_cuts(recording, seeds=1, is_wanted=lambda _, step: isinstance(step, Sync | Mark))
    for cut in cuts:
        cut.image.write(folder)
        store = Store(store_path(folder))
        acknowledged = int(cut.marks[-1]) if cut.marks else 0
        there = set(store.run_ids())
        assert {f"run-{n}" for n in range(1, acknowledged + 1)} <= there, cut.after
        store.take([payload(number) for number in range(1, RESULTS + 1)])
        assert sorted(store.run_ids()) == sorted(f"run-{n}" for n in range(1, RESULTS + 1))
        assert (store.missing(), store.quarantine()) == (0, [])
        store.close()
        shutil.rmtree(folder)
        row.tried()
    row.came_to(f"nothing lost over {syncs(recording)} syncs")


def test_a_disk_that_lies_about_syncing_is_found_out(
    lab: Lab, recording: Recording, fault: MakeRow
) -> None:
    """The proof that these tests can fail: the same steps on a disk that ignores every sync."""
    row = fault("control: a disk that ignores syncs", holds="these tests see what is lost")
    lying = replace(
        recording, steps=tuple(step for step in recording.steps if not isinstance(step, Sync))
    )

    def is_wanted(_number: int, step: Step) -> bool:
        return isinstance(step, Mark)

    broken = lab.broken("short", power_cuts(lying, seeds=0, is_wanted=is_wanted), row)
    lost = sum(times for words, times in broken.items() if "is lost" in words)
    assert lost > 0
    row.came_to(f"{lost} losses seen")
