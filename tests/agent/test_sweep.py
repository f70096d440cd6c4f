"""Sweeps with real workers: turns that are taken once, and a sustained run from end to end."""

from __future__ import annotations

from pathlib import Path

from agent.bundles import open_shelf
from agent.effort import Effort
from agent.observation import Taken
from agent.schedule import plan
from agent.stationary import SPAN
from agent.supervisor import Limits, Supervisor
from agent.sweep import Sweep
from contract.benchmark import MAX_SAMPLES, RunStatus
from contract.settings import Mode


def make_sweep(folder: Path, effort: Effort, **more: object) -> Sweep:
    """A sweep of the set with real workers."""
    return Sweep(
        open_shelf(folder),
        sweep_id="a",
        fingerprint="f",
        effort=effort,
        supervisor=Supervisor(Limits(timeout_s=120.0)),
        **more,  # type: ignore[arg-type]
    )


def test_a_sustained_sweep_tells_the_first_minute_from_the_settled_end(good_set: Path) -> None:
    """Windows are a hundredth of a second here; the baseline is measured at both ends."""
    effort = Effort(mode=Mode.SUSTAINED, max_seconds=0.3, window_s=0.01)
    jobs = plan(open_shelf(good_set), [1], frozenset({"tiny-sq8"}))
    base, static = (one.run for one in make_sweep(good_set, effort).finish(jobs))
    for run, processes in ((base, 2), (static, 1)):
        assert run.status is RunStatus.OK, run.reason
        assert (run.mode, run.processes) == ("sustained", processes)
        assert run.first_minute_p50_ms is not None
        assert run.is_stationary is not None
        assert len(run.windows) >= 2 * SPAN * processes
        assert run.n < sum(window.n for window in run.windows)
        # A fast processor makes more calls than a result carries.
        assert len(run.samples_ms) == min(run.n, MAX_SAMPLES)
        times = [window.at_s for window in run.windows]
        assert times == sorted(times)


def test_an_interrupted_sweep_takes_only_the_turns_that_are_missing(good_set: Path) -> None:
    """In the same order, and with the samples of both parts in the figures."""
    effort = Effort(rounds=2, min_seconds=0.02, min_runs=6, evalset_seconds=0.0)
    jobs = plan(open_shelf(good_set), [1], frozenset({"tiny-sq8"}))
    first: list[Taken] = []
    whole = make_sweep(good_set, effort, on_taken=first.append)
    runs = [one.run for one in whole.finish(jobs)]
    assert [(one.key[0], one.number) for one in first] == [
        ("tiny-base", 1),
        ("tiny-sq8", 1),
        ("tiny-sq8", 2),
        ("tiny-base", 2),
    ]
    again: list[Taken] = []
    rest = make_sweep(good_set, effort, taken=first[:3], on_taken=again.append)
    finished = [one.run for one in rest.finish(jobs)]
    assert [(one.key[0], one.number) for one in again] == [("tiny-base", 2)]
    assert finished[1].samples_ms == runs[1].samples_ms
    assert finished[0].processes == 2
    assert finished[0].speedup == 1.0
