"""From what several processes told to one run."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.bundles import Shelf, open_shelf
from agent.observation import Observation
from agent.protocol import Checked, Loaded, Measured
from agent.record import Origin, as_run
from agent.spread import Spread
from agent.supervisor import Limits, Outcome
from contract.benchmark import BenchRun, Conditions, Golden, RunStatus, Window

ORIGIN = Origin(sweep_id="s", fingerprint="f", mode="quick", limits=Limits(timeout_s=9.0))


def seen(
    samples_ms: list[float], *, throttled: bool = False, load_ms: float = 5.0, **changes: object
) -> Observation:
    """One process that went well, or did not."""
    measured = {
        "samples_ms": samples_ms,
        "preprocess_ms": 0.1,
        "postprocess_ms": 0.1,
        "steady_rss_bytes": 100,
        "steady_anonymous_bytes": 40,
        "peak_rss_bytes": 120,
        "foreign_load": None,
    }
    outcome = {
        "status": RunStatus.OK,
        "reason": None,
        "events": [
            Loaded(
                engine=None,
                baseline_rss_bytes=50,
                loaded_rss_bytes=90,
                load_ms=load_ms,
                first_ms=2.0,
                peak_was_reset=True,
            ),
            Checked(golden=Golden(ok=True, max_error=load_ms / 1000, tolerance=0.1)),
            Measured(
                **(measured | {k: v for k, v in changes.items() if k in Measured.__struct_fields__})
            ),
        ],
        "duration_s": 1.0,
        "seen_rss_bytes": 130,
        "seen_anonymous_bytes": 60,
        "limit_kind": None,
    }
    return Observation(
        threads=1,
        started_at=1000.0,
        duration_s=1.5,
        before=Conditions(temperature_c=40.0),
        after=Conditions(temperature_c=50.0, throttled=throttled),
        outcome=Outcome(**(outcome | {k: v for k, v in changes.items() if k in outcome})),  # type: ignore[arg-type]
    )


@pytest.fixture
def shelf(good_set: Path) -> Shelf:
    """Three bundles; what is observed of them is made up here."""
    return open_shelf(good_set)


def made(shelf: Shelf, *observations: Observation, **more: object) -> BenchRun:
    """Run of a variant that is not the baseline."""
    return as_run(shelf, shelf.bundles[0], ORIGIN, observations, **more)  # type: ignore[arg-type]


def test_samples_of_all_processes_make_the_percentiles(shelf: Shelf) -> None:
    """Medians of what is told once a process, the worst of the rest."""
    run = made(shelf, seen([1.0, 2.0]), seen([3.0, 4.0, 5.0], load_ms=9.0), baseline_p50_ms=6.0)
    assert (run.n, run.p50_ms, run.processes, run.speedup) == (5, 3.0, 2, 2.0)
    assert run.samples_ms == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert (run.load_ms, run.duration_s) == (7.0, 3.0)
    assert run.golden is not None
    assert run.golden.max_error == 0.009
    assert (run.peak_rss_bytes, run.steady_anonymous_bytes, run.peak_anonymous_bytes) == (
        120,
        40,
        60,
    )


def test_the_interval_holds_what_differs_between_processes(shelf: Shelf) -> None:
    """A thousand samples of each process are sure of themselves, and of nothing else."""
    first, second = seen([10.0] * 1000), seen([11.0] * 1000)
    spread = Spread.pooled([[10.0, 11.0], [20.0, 22.0], [5.0, 5.5]])
    assert spread is not None
    run = made(shelf, first, second, spread=spread)
    assert run.ci_low_ms is not None
    assert run.ci_high_ms is not None
    assert run.ci_low_ms < 9.5
    assert run.ci_high_ms > 11.5
    assert run.repeatability == pytest.approx(spread.deviation)


def test_one_process_that_failed_is_the_result(shelf: Shelf) -> None:
    """A variant that crashes every other time must not be recommended."""
    crash = seen([1.0], status=RunStatus.CRASHED, reason="exit code 1", events=[])
    run = made(shelf, seen([1.0, 2.0]), crash)
    assert (run.status, run.p50_ms, run.n) == (RunStatus.CRASHED, None, 0)
    assert run.reason == "exit code 1 (in 1 of 2 processes)"


def test_throttling_in_any_process_counts(shelf: Shelf) -> None:
    """Also where the box had recovered by the end."""
    run = made(shelf, seen([1.0], throttled=True), seen([1.0]))
    assert run.after is not None
    assert run.after.throttled is True
    assert "throttled during the run" in run.notes


def test_a_baseline_that_drifted_is_noted(shelf: Shelf) -> None:
    """Whoever compares with it should know."""
    base = shelf.baseline
    assert base is not None
    steady = as_run(shelf, base, ORIGIN, [seen([10.0]), seen([10.2])])
    drifted = as_run(shelf, base, ORIGIN, [seen([10.0]), seen([10.2]), seen([12.0])])
    assert (steady.notes, steady.speedup) == ([], 1.0)
    (note,) = drifted.notes
    assert note.endswith("took 10 ms at the start of the sweep and 12 ms at its end (+20%)")


def test_figures_of_a_sustained_run_are_of_its_settled_end(shelf: Shelf) -> None:
    """The first minute stands beside them, and the whole course."""
    windows = [
        Window(at_s=5.0 * (i + 1), n=10, p50_ms=p50_ms) for i, p50_ms in enumerate([8.0, 9.0, 10.0])
    ]
    one = seen(
        [8.0] * 10 + [9.0] * 10 + [10.0] * 10,
        settled_from=20,
        first_minute_p50_ms=8.0,
        is_stationary=False,
        windows=windows,
    )
    run = made(shelf, one, one)
    assert (run.n, run.p50_ms, run.first_minute_p50_ms) == (20, 10.0, 8.0)
    assert run.is_stationary is False
    assert run.notes == ["the latency had not settled when the time was up"]
    assert [window.at_s for window in run.windows] == [5.0, 10.0, 15.0, 20.0, 25.0, 30.0]
