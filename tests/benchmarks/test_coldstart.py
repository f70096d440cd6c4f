"""The cold start's promise, on a small fleet: a third of the runs finds the best variant."""

from __future__ import annotations

import itertools

import pytest

from benchmarks.lib.coldstart_contest import Heat, class_of, hold, policies
from benchmarks.lib.coldstart_fleet import World, bundle_set, devices
from benchmarks.lib.coldstart_zero import measure_zero
from builder.progress import Silence

TEACHERS, PUPILS = 24, 20


@pytest.fixture(scope="module", params=World)
def heats(request: pytest.FixtureRequest) -> list[Heat]:
    """New devices of one world under each policy."""
    every = list(itertools.islice(devices(request.param, 1), TEACHERS + PUPILS))
    one = class_of(every[:TEACHERS], every[TEACHERS:])
    return [hold(request.param, terms, [one], Silence()) for terms in policies()]


def test_at_most_a_third_of_the_runs_finds_the_best_of_95_percent_of_the_devices(
    heats: list[Heat],
) -> None:
    for heat in heats:
        (predictor,) = [one for one in heat.scores if one.way == "predictor"]
        assert predictor.found >= 0.95, heat
        assert predictor.most_measured <= 1 / 3, heat


def test_as_many_runs_by_chance_find_it_less_often(heats: list[Heat]) -> None:
    wide = heats[1]
    found = {one.way: one.found for one in wide.scores}
    assert found["by chance, as many"] < 0.6 < found["predictor"]


def test_most_of_what_is_not_measured_is_within_the_predicted_intervals(
    heats: list[Heat],
) -> None:
    for heat in heats:
        assert heat.predicted > 100
        assert heat.held >= 0.9, heat


def test_the_same_fleet_is_simulated_again() -> None:
    first, again = (list(itertools.islice(devices(World.RUGGED, 1), 2)) for _ in range(2))
    assert first == again
    assert len(bundle_set(1)) == 24


def test_a_fleet_from_zero_counts_its_pioneers() -> None:
    finding = measure_zero(16, Silence())
    for one in finding.document.fleets:  # type: ignore[attr-defined]
        assert one.pioneers >= 12
        assert one.measured > one.pioneers / 16
