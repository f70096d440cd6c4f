"""Runs reach the disk once, whatever state the disk is in."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from agent.journal import Journal
from agent.keeper import RunKeeper
from agent.outbox import Outbox
from agent.sweeplog import SweepLog
from contract.messages import Result, Tombstone
from support.measurements import make_run


def open_keeper(folder: Path, limit_bytes: int = 64_000_000) -> tuple[RunKeeper, Outbox, SweepLog]:
    """A keeper with its outbox and its record."""
    journal = Journal(folder / "agent.sqlite", limit_bytes=limit_bytes)
    outbox, sweeplog = Outbox(journal, site="lab", device="box"), SweepLog(journal)
    return RunKeeper(journal, outbox, sweeplog), outbox, sweeplog


def heavy_run(sweep_id: str, number: int) -> object:
    """A run with all the samples that fit on the wire, about 20 kB."""
    return make_run(
        "net-base", sweep_id=sweep_id, run_id=f"run-{number}", samples_ms=[1.2345] * 3000
    )


def test_a_run_is_recorded_as_measured_and_put_into_the_outbox(tmp_path: Path) -> None:
    """Both or none: a restart must neither lose a run nor measure it twice."""
    keeper, outbox, sweeplog = open_keeper(tmp_path)
    state = sweeplog.begin(set_id="set", fingerprint="fp")
    keeper.keep(make_run("net-base", sweep_id=state.sweep_id, p50_ms=4.0))
    assert outbox.unacknowledged() == 1
    latest = sweeplog.latest()
    assert latest is not None
    assert latest.done == {("net-base", 1)}


def test_a_full_outbox_makes_room_for_the_newest_run(tmp_path: Path) -> None:
    """The space stays bounded, the newest run is kept, and the dropped ones are closed."""
    keeper, outbox, sweeplog = open_keeper(tmp_path, limit_bytes=300_000)
    state = sweeplog.begin(set_id="set", fingerprint="fp")
    for number in range(40):
        keeper.keep(heavy_run(state.sweep_id, number))
    assert keeper.backlog == 0
    assert (tmp_path / "agent.sqlite").stat().st_size <= 300_000
    parcels = outbox.pending(100)
    messages = [msgspec.json.decode(p.payload, type=Result | Tombstone) for p in parcels]
    places = [
        seq
        for m in messages
        for seq in range(m.seq, (m.last_seq if isinstance(m, Tombstone) else m.seq) + 1)
    ]
    assert places == list(range(1, 41)), "every place is filled or closed"
    newest = messages[-1]
    assert isinstance(newest, Result)
    assert newest.run.run_id == "run-39"
    assert any(isinstance(m, Tombstone) for m in messages)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of half a megabyte."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode != 0:
        pytest.skip("this box does not let root mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_while_the_disk_is_full_runs_wait_and_none_is_lost(small_disk: Path) -> None:
    """Measuring goes on; when there is room again, everything is stored in order."""
    keeper, outbox, sweeplog = open_keeper(small_disk)
    state = sweeplog.begin(set_id="set", fingerprint="fp")
    keeper.keep(heavy_run(state.sweep_id, 0))
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * 1024)
    for number in range(1, 4):
        keeper.keep(heavy_run(state.sweep_id, number))
    assert keeper.backlog > 0
    ballast.unlink()
    keeper.flush()
    assert keeper.backlog == 0
    parcels = outbox.pending(10)
    messages = [msgspec.json.decode(p.payload, type=Result | Tombstone) for p in parcels]
    assert [m.seq for m in messages] == [1, 2, 3, 4]
    newest = messages[-1]
    assert isinstance(newest, Result)
    assert newest.run.run_id == "run-3"
