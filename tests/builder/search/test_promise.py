from __future__ import annotations

import math

import numpy as np
import pytest

from builder.search.coverage import expected_coverage
from builder.search.normal import Normal
from builder.search.promise import Point, Promise

FRONT = [Point(0.0, 0.5), Point(1.0, 0.7), Point(2.0, 0.9)]


def certain(log_ms: float, top1: float) -> Promise:
    return Promise(Normal(log_ms, 1e-6), Normal(top1, 1e-6))


def test_the_shortfall_is_the_mean_of_what_stays_below() -> None:
    draws = np.random.default_rng(0).normal(1.0, 0.5, 200_000)
    for value in (-1.0, 0.8, 1.0, 3.0):
        expected = np.maximum(0.0, value - draws).mean()
        assert Normal(1.0, 0.5).shortfall(value) == pytest.approx(expected, abs=5e-3)


@pytest.mark.parametrize(
    ("promise", "chance"),
    [
        (certain(-1.0, 0.1), 1.0),
        (certain(0.5, 0.6), 1.0),
        (certain(0.5, 0.4), 0.0),
        (certain(3.0, 0.8), 0.0),
        (certain(3.0, 0.95), 1.0),
    ],
)
def test_a_place_on_the_front_is_what_no_faster_point_beats(
    promise: Promise, chance: float
) -> None:
    assert promise.chance_of_front(FRONT) == pytest.approx(chance)


def test_the_chance_of_the_front_is_that_of_random_draws() -> None:
    promise = Promise(Normal(0.8, 0.6), Normal(0.65, 0.1))
    noise = np.random.default_rng(0)
    times, top1s = noise.normal(0.8, 0.6, 200_000), noise.normal(0.65, 0.1, 200_000)
    beaten = np.zeros(len(times), dtype=bool)
    for point in FRONT:
        beaten |= (times >= point.log_ms) & (top1s <= point.top1)
    assert promise.chance_of_front(FRONT) == pytest.approx(1 - beaten.mean(), abs=5e-3)


def test_a_saving_counts_only_within_the_bar() -> None:
    fastest = Point(1.0, 0.9)
    assert certain(0.5, 0.95).expected_saving(fastest, 0.9) == pytest.approx(0.5)
    assert certain(0.5, 0.85).expected_saving(fastest, 0.9) == pytest.approx(0.0)
    assert certain(1.5, 0.95).expected_saving(fastest, 0.9) == pytest.approx(0.0)
    assert certain(9.0, 0.95).expected_saving(None, 0.9) == pytest.approx(1.0)


def test_coverage_counts_the_candidates_that_one_makes_superfluous() -> None:
    promises = [
        certain(-1.0, 0.6),  # as fast as the next two, and more accurate
        certain(-0.9, 0.55),
        certain(-1.005, 0.603),  # a tie with the first
        certain(3.0, 0.5),  # dominated by the front
        certain(-3.0, 0.1),  # the fastest, and hardly of use
    ]
    coverage = expected_coverage(promises, FRONT)
    assert coverage == pytest.approx([3, 1, 3, 0, 0.1], abs=1e-6)


def test_a_front_of_nothing_leaves_everything_open() -> None:
    assert certain(0.0, 0.0).chance_of_front([]) == 1.0
    assert math.isclose(expected_coverage([certain(0.0, 0.5)], [])[0], 1.0)
