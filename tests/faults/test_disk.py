"""The disk is full, turns read-only, loses the state folder, or gives back other bytes."""

from __future__ import annotations

import contextlib
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from agent.activation import STANDING_NAME
from agent.errors import JournalBrokenError, JournalError
from contract.benchmark import BenchRun
from support.faults.device import Device, desired, run_of, turn_of
from support.faults.filesystems import failing_disk, small_disk
from support.faults.store import Store
from support.faults.table import Row

MakeRow = Callable[..., Row]
_FLIPS = 120


def begin(device: Device) -> str:
    return device.sweeplog.begin(set_id="set", fingerprint="fp-1").sweep_id


def keep(device: Device, sweep: str, *names: str, samples: int = 40) -> list[BenchRun]:
    runs = [run_of(sweep, name, variant=f"net-{name}", samples=samples) for name in names]
    for run in runs:
        device.keeper.keep(run)
    return runs


def test_a_disk_that_is_full_at_any_moment_costs_nothing(
    tmp_path: Path, fast_folder: Path, fault: MakeRow
) -> None:
    """Runs wait in memory, what is kept stays, and all goes on when there is room again."""
    row = fault("disk full (a tmpfs) at any page", holds="runs wait, each is stored once later")
    refused = 0
    with small_disk(tmp_path / "small", size_bytes=400 * 1024) as disk:
        for pages in range(24):
            device = Device(disk.path / "state")
            store = Store(fast_folder / f"full-{pages}.db")
            sweep = begin(device)
            keep(device, sweep, "a", "b")
            device.deliver(store)
            keep(device, sweep, "c")
            disk.leave(pages)
            keep(device, sweep, "d", "e")
            held = device.keeper.backlog
            for attempt in (
                lambda device=device, store=store: device.deliver(store),
                lambda device=device: device.activation.settle(
                    device.activation.standing.adopting(desired(1, "net-a"))
                ),
                lambda device=device, sweep=sweep: device.sweeplog.note(sweep, turn_of("net-f", 1)),
                lambda device=device, sweep=sweep: device.sweeplog.finish(sweep, at=1.0),
            ):
                with contextlib.suppress(JournalError):
                    attempt()
            refused += held > 0
            disk.free()
            device.keeper.flush()
            assert device.keeper.backlog == 0
            device.close()
            device = Device(disk.path / "state")
            assert device.activation.standing.generation in (0, 1)
            device.deliver(store)
            assert store.run_ids() == ["a", "b", "c", "d", "e"]
            assert (store.missing(), store.quarantine()) == (0, [])
            device.close()
            store.close()
            shutil.rmtree(disk.path / "state")
            row.tried()
    assert 0 < refused < 24
    row.came_to(f"runs had to wait {refused} times, none was lost")


def test_a_disk_that_turns_read_only_costs_only_what_is_in_memory(
    tmp_path: Path, fast_folder: Path, fault: MakeRow
) -> None:
    """As a dying card does: the kernel finds an error and refuses every write from then on."""
    row = fault(
        "disk turns read-only (ext4, error in the kernel)",
        holds="kept runs arrive, the run in memory is measured again",
    )
    store = Store(fast_folder / "read-only.db")
    with failing_disk(tmp_path / "failing") as disk:
        device = Device(disk.path / "state")
        sweep = begin(device)
        keep(device, sweep, "a")
        device.deliver(store)
        keep(device, sweep, "b")
        disk.fail()
        keep(device, sweep, "c")
        assert device.keeper.backlog == 1
        with pytest.raises(JournalError, match=r"state_dir|disk"):
            device.activation.settle(device.activation.standing.adopting(desired(1, "net-a")))
        (parcel,) = device.outbox.pending(8)
        store.take([parcel.payload])
        with pytest.raises(JournalError):
            device.hear(store)
        device.close()
        with pytest.raises(JournalError, match=r"check state_dir|check the disk"):
            Device(disk.path / "state")
        disk.repair()
        device = Device(disk.path / "state")
        state = device.sweeplog.latest()
        assert state is not None
        assert state.done == {("net-a", 1), ("net-b", 1)}, "the run in memory is not on record"
        keep(device, sweep, "c")
        device.deliver(store)
        device.close()
    row.tried()
    assert store.run_ids() == ["a", "b", "c"]
    assert store.missing() == 0
    store.close()
    row.came_to("one run measured again")


@pytest.mark.parametrize("what", ["folder removed", "file replaced"])
def test_a_state_folder_that_goes_away_ends_the_agent_with_a_word(
    tmp_path: Path, fault: MakeRow, what: str
) -> None:
    """SQLite would go on in a file that nobody finds again; no run is called stored there."""
    row = fault(
        f"state {what} under the agent", holds="nothing is called stored, a new start works"
    )
    device = Device(tmp_path / "state")
    sweep = begin(device)
    keep(device, sweep, "a")
    if what == "folder removed":
        shutil.rmtree(tmp_path / "state")
    else:
        (tmp_path / "state" / "agent.sqlite").unlink()
        (tmp_path / "state" / "agent.sqlite").write_bytes(b"")
    with pytest.raises(JournalBrokenError, match="start the agent again"):
        keep(device, sweep, "b")
    with pytest.raises(JournalBrokenError, match="start the agent again"):
        device.sweeplog.latest()
    device.close()
    again = Device(tmp_path / "state")
    keep(again, begin(again), "c")
    assert again.outbox.unacknowledged() == 1
    again.close()
    row.tried()
    row.came_to("ends, and says to start again")


class Flipper:
    """Runs on a device's disk, and the same disk with some bytes flipped."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.store = Store(folder / "flipped.db")
        device = Device(folder / "whole")
        sweep = begin(device)
        self.runs = keep(device, sweep, *(f"{n:02}" for n in range(12)), samples=300)
        self.store.take([parcel.payload for parcel in device.outbox.pending(6)])
        device.hear(self.store)
        device.sweeplog.note(sweep, turn_of("net-f", 1))
        device.activation.settle(device.activation.standing.adopting(desired(1, "net-a")))
        device.close()
        self.store.copy(folder / "before.db")

    def flip(self, seed: int, name: str) -> None:
        """Lay the disk again, with other bytes in one file."""
        shutil.rmtree(self._folder / "flipped", ignore_errors=True)
        shutil.copytree(self._folder / "whole", self._folder / "flipped")
        self.store.restore(self._folder / "before.db")
        rng = random.Random(seed)  # noqa: S311 - no secret
        path = self._folder / "flipped" / name
        content = bytearray(path.read_bytes())
        if seed % 4:
            for _ in range(rng.choice((1, 8, 64))):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        else:
            start = rng.randrange(0, len(content), 4096)
            content[start : start + 4096] = rng.randbytes(len(content[start : start + 4096]))
        path.write_bytes(content)

    def start(self) -> Device:
        return Device(self._folder / "flipped")


def _tell(run: BenchRun) -> BenchRun:
    return msgspec.structs.replace(run, samples_ms=[])


def test_flipped_bytes_never_stop_the_agent_and_never_become_a_measurement(
    fast_folder: Path, fault: MakeRow
) -> None:
    """A damaged file is set aside, what can be read of it is delivered, and the agent goes on."""
    row = fault(
        "bytes of the database flipped or a page overwritten",
        holds="the agent goes on, no wrong figure and no run twice is stored",
    )
    flipper = Flipper(fast_folder)
    lost = aside = 0
    for seed in range(_FLIPS):
        flipper.flip(seed, "agent.sqlite")
        for _start in range(3):
            device = flipper.start()
            with contextlib.suppress(JournalBrokenError):
                device.sweeplog.latest()
                device.sweeplog.verdict("ab" * 32, fingerprint="fp-1")
                later = keep(device, begin(device), "later", samples=0)
                device.deliver(flipper.store)
                break
            device.close()
        else:
            pytest.fail(f"seed {seed}: three starts were not enough")
        device.close()
        arrived = flipper.store.runs()
        known = {run.run_id: _tell(run) for run in (*flipper.runs, *later)}
        ids = [run.run_id for run in arrived]
        assert "later" in ids, f"seed {seed}"
        assert len(set(ids)) == len(ids), f"seed {seed}"
        assert [run for run in arrived if _tell(run) != known[run.run_id]] == [
            run
            for run in arrived
            if run.run_id == "later" and run.sweep_id != known["later"].sweep_id
        ], f"seed {seed}"
        assert flipper.store.quarantine() == [], f"seed {seed}"
        lost += len(flipper.runs) + 1 - len(ids)
        aside += (device.state_dir / "agent.sqlite.damaged").exists()
        row.tried()
    flipper.store.close()
    row.came_to(
        f"file set aside {aside} times, {lost} of {_FLIPS * 6} waiting runs were unreadable"
    )


def test_a_damaged_standing_is_told_again_by_the_fleet(tmp_path: Path, fault: MakeRow) -> None:
    """The retained desired state brings the device back to where it was."""
    row = fault("bytes of the standing flipped", holds="the agent starts, and follows again")
    for seed in range(50):
        device = Device(tmp_path / "state")
        device.activation.settle(device.activation.standing.adopting(desired(7, "net-a")))
        device.close()
        path = tmp_path / "state" / STANDING_NAME
        content = bytearray(path.read_bytes())
        rng = random.Random(seed)  # noqa: S311 - no secret
        content[rng.randrange(len(content))] ^= 0x80
        path.write_bytes(content)
        device = Device(tmp_path / "state")
        assert device.activation.is_news(desired(7, "net-a"))
        device.close()
        row.tried()
    row.came_to("told again each time")
