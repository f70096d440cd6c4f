from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from builder.errors import UnsupportedError
from builder.outcome import Status
from builder.progress import Silence
from builder.search.candidate import Candidate, Space
from builder.search.findings import conclude
from builder.search.journal import open_journal
from builder.search.searcher import search
from builder.search.trial import Measurement, Trial
from contract.manifest import Scheme
from support.simulated_host import SimulatedHost

BAR = 0.01
Run = Callable[..., list[Trial]]

TWO = Space(input_sizes={"one": (64, 56, 48, 40), "two": (64, 56, 48, 40)})
#: Hosts that differ in what pays.
HOSTS = {
    "pruning is free for long": {"knee": 0.5},
    "pruning hurts at once": {"knee": 0.1},
    "int8 is slower": {"int8_speed": 0.3},
    "int8 costs accuracy": {"int8_drop": 0.03},
}


def host(seed: int = 0, *, noisy: bool = False, **truth: float) -> SimulatedHost:
    noise = {"time_noise": 0.02, "top1_noise": 0.003} if noisy else {}
    return SimulatedHost(top1={"one": 0.9}, seed=seed, **noise, **truth)


def within_bar(host: SimulatedHost, candidates: Iterable[Candidate]) -> list[float]:
    least = host.top1["one"] - BAR - 1e-9
    return [host.p50_ms(one) for one in candidates if host.true_top1(one) >= least]


def best_ms(trials: list[Trial], space: Space) -> float:
    best = conclude(trials, space.baseline, BAR).best
    assert best is not None
    assert best.measurement is not None
    return best.measurement.p50_ms


def plain_grid(space: Space, ratios: tuple[float | None, ...]) -> list[Candidate]:
    """Ratios by schemes by two input sizes, for each network."""
    return [
        Candidate(architecture=name, prune_ratio=ratio, scheme=scheme, input_size=size)
        for name in space.architectures
        for ratio in ratios
        for scheme in (Scheme.FP32, Scheme.STATIC_INT8)
        for size in (64, 48)
    ]


def uncovered(trials: list[Trial], grid: list[Trial], ms: float, top1: float) -> list[Candidate]:
    """Points of `grid` that no trial matches in both, a tie being a share of time and a top-1."""
    found = [trial.measurement for trial in trials if trial.measurement is not None]
    return [
        point.candidate
        for point in grid
        if point.measurement is not None
        and not any(
            one.p50_ms <= point.measurement.p50_ms * (1 + ms)
            and one.top1 >= point.measurement.top1 - top1 - 1e-9
            for one in found
        )
    ]


@pytest.mark.parametrize("truth", HOSTS.values(), ids=HOSTS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_front_matches_or_beats_every_point_of_a_plain_grid_of_the_same_budget(
    run_search: Run, space: Space, truth: dict[str, float], seed: int
) -> None:
    simulated = host(seed, noisy=seed > 0, **truth)
    grid = plain_grid(space, (None, 0.1, 0.3, 0.5, 0.7))
    trials = run_search(simulated, space, budget=len(grid))
    points = [simulated.truth(candidate) for candidate in grid]
    assert uncovered(trials, points, ms=0.05, top1=0.01) == []
    assert best_ms(trials, space) <= min(within_bar(simulated, grid))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_front_of_two_networks_matches_or_beats_every_point_of_a_plain_grid(
    run_search: Run, seed: int
) -> None:
    simulated = SimulatedHost(
        top1={"one": 0.9, "two": 0.93},
        slowness={"two": 1.4},
        seed=seed,
        time_noise=0.02,
        top1_noise=0.003,
    )
    grid = plain_grid(TWO, (None, 0.3, 0.5))
    trials = run_search(simulated, TWO, budget=len(grid))
    points = [simulated.truth(candidate) for candidate in grid]
    assert uncovered(trials, points, ms=0.05, top1=0.01) == []


@pytest.mark.parametrize("truth", HOSTS.values(), ids=HOSTS)
def test_the_fastest_within_the_bar_is_found_among_64_in_fifteen_trials(
    run_search: Run, space: Space, truth: dict[str, float]
) -> None:
    simulated = host(**truth)
    trials = run_search(simulated, space, budget=15)
    best = min(within_bar(simulated, space.candidates()))
    assert best_ms(trials, space) == pytest.approx(best, rel=0.1)


def test_where_int8_is_free_no_trial_goes_to_floats_beyond_the_base(
    run_search: Run, space: Space
) -> None:
    trials = run_search(host(), space, budget=16)
    assert [t.candidate for t in trials if t.candidate.scheme is Scheme.FP32] == [space.baseline]


def test_where_int8_is_slower_one_trial_is_enough_to_see_it(run_search: Run, space: Space) -> None:
    trials = run_search(host(int8_speed=0.3), space, budget=16)
    assert sum(t.candidate.scheme is Scheme.STATIC_INT8 for t in trials) <= 2


@pytest.mark.parametrize("stop_after", [0, 1, 2, 3, 7, 11])
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(
    run_search: Run, space: Space, stop_after: int
) -> None:
    def interrupt(_: Candidate, number: int) -> None:
        if number == stop_after + 1:
            raise KeyboardInterrupt

    whole = run_search(host(noisy=True), space, budget=12, file="whole.jsonl")
    stopped = host(noisy=True)
    stopped.mishap = interrupt
    with pytest.raises(KeyboardInterrupt):
        run_search(stopped, space, budget=12)
    resumed = host(noisy=True)
    assert run_search(resumed, space, budget=12) == whole
    assert len(resumed.built) == 12 - stop_after


def test_a_finished_search_makes_no_more_trials_until_the_budget_grows(
    run_search: Run, space: Space
) -> None:
    first = run_search(host(), space, budget=8)
    again = host()
    assert run_search(again, space, budget=8) == first
    assert again.built == []
    assert run_search(again, space, budget=10)[:8] == first
    assert len(again.built) == 2


@pytest.mark.parametrize("budget", [0, 1, 2, 5, 13])
def test_the_budget_is_never_exceeded_and_the_first_trial_is_the_baseline(
    run_search: Run, space: Space, budget: int
) -> None:
    trials = run_search(host(), space, budget=budget)
    assert len(trials) == budget
    assert [trial.candidate for trial in trials[:1]] == [space.baseline][:budget]


def test_failing_trials_are_written_down_and_the_search_goes_on(
    run_search: Run, space: Space
) -> None:
    def every_third(_: Candidate, number: int) -> None:
        if number % 3 == 0:
            raise RuntimeError("out of\nluck")

    unlucky = host()
    unlucky.mishap = every_third
    trials = run_search(unlucky, space, budget=18)
    failed = conclude(trials, space.baseline, BAR).failed
    assert len(trials) == 18
    assert [trial.reason for trial in failed] == ["RuntimeError: out of"] * 6
    assert best_ms(trials, space) == pytest.approx(
        min(within_bar(unlucky, space.candidates())), rel=0.1
    )  # fmt: skip


def test_an_unsupported_scheme_costs_one_trial(run_search: Run, space: Space) -> None:
    def refuse(candidate: Candidate, _: int) -> None:
        if candidate.scheme is Scheme.STATIC_INT8:
            raise UnsupportedError("it branches on values")

    simulated = host()
    simulated.mishap = refuse
    trials = run_search(simulated, space, budget=12)
    [refused] = [trial for trial in trials if trial.status is Status.UNSUPPORTED]
    assert refused.reason == "it branches on values"
    assert len(trials) == 12


def test_a_network_that_never_builds_leaves_most_of_the_budget_to_the_other(
    run_search: Run,
) -> None:
    def broken(candidate: Candidate, _: int) -> None:
        if candidate.architecture == "two":
            raise OSError("its weights are gone")

    simulated = SimulatedHost(top1={"one": 0.9, "two": 0.93}, mishap=broken)
    trials = run_search(simulated, TWO, budget=16)
    assert sum(trial.status is Status.FAILED for trial in trials) <= 3
    assert len(trials) == 16


def test_where_nothing_ever_builds_the_search_ends_with_its_budget(
    run_search: Run, space: Space
) -> None:
    def broken(_: Candidate, number: int) -> None:
        raise MemoryError(number)

    simulated = host()
    simulated.mishap = broken
    trials = run_search(simulated, space, budget=6)
    assert len(trials) == len(conclude(trials, space.baseline, BAR).failed) == 6
    assert trials[0].candidate == space.baseline


class _Vague(SimulatedHost):
    """Can say little of its candidates before they are built."""

    def workload(self, candidate: Candidate) -> None:
        if candidate.prune_ratio:
            raise RuntimeError("cannot be shaped")
        return super().workload(candidate)

    def prior_drop(self, candidate: Candidate) -> float:
        raise ValueError(f"no sensitivities of {candidate.architecture}")


def test_candidates_that_cannot_be_judged_beforehand_do_not_end_the_search(
    run_search: Run, space: Space, caplog: pytest.LogCaptureFixture
) -> None:
    trials = run_search(_Vague(top1={"one": 0.9}), space, budget=5)
    assert len(trials) == 5
    assert {trial.candidate.prune_ratio for trial in trials} == {None}
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2


class _Absurd(SimulatedHost):
    """Answers with measurements that cannot be."""

    def truth(self, candidate: Candidate) -> Trial:
        p50_ms = 1.0 if candidate.scheme is Scheme.FP32 else float("nan")
        measurement = Measurement(top1=0.9, p50_ms=p50_ms, bytes=1, macs=1)
        return Trial(candidate=candidate, status=Status.BUILT, measurement=measurement)


def test_a_measurement_that_cannot_be_is_a_failed_trial(run_search: Run, space: Space) -> None:
    _, int8 = run_search(_Absurd(top1={"one": 0.9}), space, budget=4)[:2]
    assert int8.status is Status.FAILED
    assert int8.measurement is None
    assert "p50_ms" in str(int8.reason)


def test_no_trial_starts_after_the_deadline(space: Space, tmp_path: Path) -> None:
    journal = open_journal(tmp_path / "search.jsonl", "digest")
    clock = iter([0.0, 0.0, 40.0, 40.0, 80.0, 80.0, 120.0, 120.0])
    steps = search(
        space,
        host(),
        journal,
        max_top1_drop=BAR,
        budget=20,
        now_s=lambda: next(clock),
        deadline_s=100.0,
        progress=Silence(),
    )
    assert len(list(steps)) == len(journal.trials) > 0


def test_each_trial_is_safe_before_it_is_yielded(space: Space, tmp_path: Path) -> None:
    path = tmp_path / "search.jsonl"
    steps = search(
        space,
        host(),
        open_journal(path, "digest"),
        max_top1_drop=BAR,
        budget=3,
        now_s=lambda: 0.0,
        progress=Silence(),
    )
    for number, trial in enumerate(steps, start=1):
        kept = open_journal(path, "digest").trials
        assert len(kept) == number
        assert kept[-1] == trial
