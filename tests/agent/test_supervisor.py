"""Workers end in every way, and the supervisor tells which."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from agent.errors import StoppedError
from agent.postmortem import explain_death
from agent.protocol import (
    Bench,
    Checked,
    Engines,
    ListEngines,
    Loaded,
    Measured,
    Preparation,
    Stage,
)
from agent.supervisor import Limits, Outcome, Supervisor
from contract.benchmark import LimitKind, RunStatus
from support.processes import children
from support.tiny_bundles import Endless, Hungry, Raising, SetMaker


def bench(path: Path, *, memory_mb: int | None = None, timeout_s: float = 60.0) -> Outcome:
    """Outcome of measuring one bundle."""
    limit_bytes = None if memory_mb is None else memory_mb * 1_000_000
    supervisor = Supervisor(Limits(timeout_s=timeout_s, memory_limit_bytes=limit_bytes))
    return supervisor.perform(task(path))


def task(path: Path) -> Bench:
    """The task of measuring one bundle."""
    return Bench(
        threads=1,
        bundle=str(path),
        preparation=Preparation.AS_BUILT,
        min_seconds=0.05,
        min_runs=5,
    )


@pytest.fixture(scope="module")
def endless(set_maker: Callable[[], SetMaker]) -> Path:
    """A bundle that never answers."""
    return set_maker().add("tiny-endless", Endless(), script=True)


def test_a_good_bundle_is_loaded_checked_and_measured(good_set: Path) -> None:
    """All events come, in order, and memory grows in the order of the stages."""
    outcome = bench(good_set / "tiny-base.pt")
    assert outcome.status is RunStatus.OK, outcome.reason
    assert [type(event) for event in outcome.events] == [Loaded, Checked, Measured]
    measured = outcome.last_event(Measured)
    assert measured is not None
    assert len(measured.samples_ms) >= 5
    assert outcome.limit_kind is None


def test_a_worker_over_its_memory_limit_is_an_oom(set_maker: Callable[[], SetMaker]) -> None:
    """The reason says how much it held, the result who watched."""
    path = set_maker().add("tiny-hungry", Hungry(), script=True)
    outcome = bench(path, memory_mb=700)
    assert outcome.status is RunStatus.OOM
    assert "700 MB" in (outcome.reason or "")
    assert outcome.limit_kind in {LimitKind.WATCHDOG, LimitKind.CGROUP}


def test_a_worker_without_an_answer_is_a_timeout_with_its_stage(endless: Path) -> None:
    """A hang is told with how far it got, and its process is gone."""
    before = children()
    # Long enough to import torch: how long that takes depends on the box and what else it does.
    for timeout_s in (15, 60, 240):
        outcome = bench(endless, timeout_s=timeout_s)
        assert outcome.status is RunStatus.TIMEOUT
        assert f"within {timeout_s} s" in (outcome.reason or "")
        if "first inference" in (outcome.reason or ""):
            break
    assert "first inference" in (outcome.reason or "")
    assert children() == before


def test_a_network_that_raises_is_a_crash_in_its_own_words(
    set_maker: Callable[[], SetMaker],
) -> None:
    """What the network said is the reason."""
    outcome = bench(set_maker().add("tiny-raising", Raising(), script=True))
    assert outcome.status is RunStatus.CRASHED
    assert "this network cannot be run" in (outcome.reason or "")


def test_wrong_logits_are_found_before_any_timing(set_maker: Callable[[], SetMaker]) -> None:
    """Nothing is measured of a variant whose numerics are wrong."""
    outcome = bench(set_maker().add("tiny-wrong", wrong_golden=True))
    assert outcome.status is RunStatus.WRONG_NUMERICS
    checked = outcome.last_event(Checked)
    assert checked is not None
    assert not checked.golden.ok
    assert outcome.last_event(Measured) is None


def test_a_file_that_is_no_torchscript_is_unsupported(good_set: Path, tmp_path: Path) -> None:
    """A bundle whose code is missing cannot be loaded by this torch."""
    import zipfile  # noqa: PLC0415 - only here

    path = tmp_path / "hollow.pt"
    with zipfile.ZipFile(good_set / "tiny-base.pt") as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            if "/extra/" in name or name.endswith("version"):
                new.writestr(name, old.read(name))
    outcome = bench(path)
    assert outcome.status is RunStatus.UNSUPPORTED
    assert "cannot load it" in (outcome.reason or "")


def test_engines_are_listed_by_a_process_of_its_own() -> None:
    """This process never imports torch for it."""
    outcome = Supervisor(Limits(timeout_s=60)).perform(ListEngines(threads=1))
    answer = outcome.last_event(Engines)
    assert answer is not None
    assert "none" not in answer.engines


def test_stopping_ends_the_worker_at_once(endless: Path) -> None:
    """The agent's own end does not wait for a bench."""
    before = children()
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()
    with pytest.raises(StoppedError):
        Supervisor(Limits(timeout_s=60), stop=stop).perform(task(endless))
    assert children() == before


def test_a_worker_dies_with_a_supervisor_that_was_killed(endless: Path) -> None:
    """SIGKILL of the agent must not leave a worker eating the box."""
    script = (
        "import sys; from agent.supervisor import *; from agent.protocol import *\n"
        "Supervisor(Limits(timeout_s=60)).perform(Bench(threads=1, bundle=sys.argv[1], "
        "preparation=Preparation.AS_BUILT, min_seconds=0, min_runs=1))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(endless)])
    deadline = time.monotonic() + 120
    while not (workers := psutil.Process(parent.pid).children()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(3.0)  # by now it is within torch's C++ loop
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=120)
    for worker in alive:
        worker.kill()
    assert alive == []


@pytest.mark.parametrize(
    ("code", "words", "oom_killed", "status", "told"),
    [
        (-signal.SIGSEGV, "", False, RunStatus.CRASHED, "SIGSEGV"),
        (-signal.SIGILL, "", False, RunStatus.CRASHED, "instructions that the CPU lacks"),
        (-signal.SIGKILL, "", True, RunStatus.OOM, "want of memory"),
        (-signal.SIGKILL, "", False, RunStatus.CRASHED, "SIGKILL"),
        (1, "MemoryError", False, RunStatus.OOM, "MemoryError"),
        (1, "ValueError: odd", False, RunStatus.CRASHED, "ValueError: odd"),
    ],
)
def test_a_death_is_explained(
    code: int, words: str, *, oom_killed: bool, status: RunStatus, told: str
) -> None:
    """Exit code, signal and last words become a status and a sentence with the stage."""
    got, reason = explain_death(code, stage=Stage.LOADING, last_words=words, oom_killed=oom_killed)
    assert got is status
    assert told in reason
    assert "while loading" in reason
