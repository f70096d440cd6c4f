"""Accuracy on this very device, with real workers on sets whose answers are known."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from agent.accuracy import examination_of
from agent.attempts import Contest
from agent.bench import median_ms, observe
from agent.bundles import open_shelf
from agent.effort import Effort
from agent.observation import Taken
from agent.protocol import Examined
from agent.schedule import plan
from agent.supervisor import Limits, Supervisor
from agent.sweep import Sweep
from contract.benchmark import BenchRun, RunStatus
from contract.errors import BundleDamagedError
from contract.evalset import EVALSET_NAME
from support.evalsets import BLUE, GREEN, RED, coloured, evalset_arrays, write_evalset
from support.processes import program
from support.tiny_bundles import Brightest, SetMaker

QUICK = ("--min-seconds", "0.05", "--min-runs", "6", "--rounds", "1")
#: Twelve images of a list of 24, in an order of their own.
COLOURS = [RED, GREEN, BLUE] * 4
POSITIONS = list(range(23, -1, -2))
LISTED = 24
#: Enough for torch, too little for 63 megapixels of three bytes besides, twice over.
LIMIT_BYTES = 500_000_000
#: What `Brightest` never has among its first three.
DARK = 3
ANSWERS = [
    *[[colour, DARK] for colour in COLOURS[:7]],
    *[[(colour + 1) % 3, -1] for colour in COLOURS[7:9]],
    *[[DARK, -1]] * 3,
]


def bench(folder: Path, *options: str) -> list[BenchRun]:
    """Runs of a set that was measured to its end."""
    command = [program("edgewright-agent"), "bench", str(folder), "--json", *QUICK, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout, type=list[BenchRun])


def told(run: BenchRun) -> list[str]:
    """Notes on accuracy."""
    return [note for note in run.notes if "accuracy" in note or "evaluation set" in note]


@pytest.fixture
def maker(set_maker: Callable[[], SetMaker]) -> SetMaker:
    """A set with one bundle that is right on seven of the twelve, as its builder saw it too."""
    made = set_maker()
    right = dict(zip(POSITIONS, [True] * 7 + [False] * 5, strict=True))
    made.add("tiny-base", Brightest(), hits=[right.get(n, True) for n in range(LISTED)])
    files = [coloured(colour) for colour in COLOURS]
    arrays = evalset_arrays(files, {"tiny": ANSWERS}, POSITIONS)
    made.evalset = write_evalset(made.folder, arrays, drawn_from=LISTED)
    return made


def test_right_answers_are_counted_on_this_device(maker: SetMaker) -> None:
    """A builder that had other images right is found out, one without hits is not compared."""
    maker.add("tiny-boasting", Brightest(), hits=[True] * LISTED)
    maker.add("tiny-silent", Brightest())
    same, boasting, silent = bench(maker.finish())
    for run in (same, boasting, silent):
        assert run.status is RunStatus.OK, run.reason
        assert run.device_images == 12
        assert run.device_top1 == pytest.approx(7 / 12)
        # Whatever is wrong at first is among the three highest of four.
        assert run.device_top3 == pytest.approx(9 / 12)
    assert (same.device_gained, same.device_lost, told(same)) == (0, 0, [])
    assert (boasting.device_gained, boasting.device_lost) == (0, 5)
    (note,) = told(boasting)
    assert note == (
        "accuracy on this device differs from the builder's: top-1 58.3% against 100.0% on the "
        "same 12 images (0 gained, 5 lost), more than chance"
    )
    assert (silent.device_gained, silent.device_lost, told(silent)) == (None, None, [])


def test_a_picture_too_large_for_the_box_costs_no_measurement(
    set_maker: Callable[[], SetMaker],
) -> None:
    """The worker dies over it after the timing, in the first turn alone; its memory is not told."""
    maker = set_maker()
    maker.add("tiny-base", Brightest())
    huge = coloured(RED, size=(9_000, 7_000))
    maker.evalset = write_evalset(
        maker.folder, evalset_arrays([huge], {"tiny": [[RED]]}), drawn_from=LISTED
    )
    shelf = open_shelf(maker.finish())
    taken: list[Taken] = []
    limits = Limits(timeout_s=60, memory_limit_bytes=LIMIT_BYTES)
    sweep = Sweep(
        shelf,
        sweep_id="s",
        fingerprint="f",
        effort=Effort(rounds=1, min_seconds=0.05),
        supervisor=Supervisor(limits),
        on_taken=taken.append,
    )
    (finished,) = sweep.finish(plan(shelf, [1]))
    run = finished.run
    assert run.status is RunStatus.OK, run.reason
    assert run.n > 0
    (note,) = told(run)
    assert note.startswith("accuracy was not measured on this device: oom: ")
    assert run.peak_rss_bytes is not None
    assert run.peak_rss_bytes < LIMIT_BYTES
    assert run.peak_anonymous_bytes is not None
    assert run.peak_anonymous_bytes < LIMIT_BYTES - 63_000_000
    assert [(one.number, one.observation.told(Examined) is None) for one in taken] == [
        (1, False),
        (2, True),
    ]


def test_a_damaged_file_is_a_note_and_no_time_is_no_examination(maker: SetMaker) -> None:
    """It is checked like a bundle before anything reads it."""
    shelf = open_shelf(maker.finish())
    assert examination_of(shelf, max_seconds=0.0) is None
    assert examination_of(shelf, max_seconds=1.0) is not None
    path = maker.folder / EVALSET_NAME
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BundleDamagedError, match=r"evalset\.npz: expected"):
        examination_of(shelf, max_seconds=1.0)
    seen = observe(
        shelf,
        shelf.bundles[0],
        threads=1,
        effort=Effort(min_seconds=0.05),
        supervisor=Supervisor(Limits(timeout_s=60)),
        contest=Contest(median_ms),
        examines=True,
    )
    assert seen.measured is not None
    assert seen.told(Examined) is None
    assert "accuracy was not measured on this device" in seen.notes[-1]
