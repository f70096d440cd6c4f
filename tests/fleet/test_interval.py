"""Intervals against published values and simple truths."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.interval import p95_interval, share_gap, wilson

SHARE = st.floats(0, 1)
COUNT = st.integers(1, 100_000)


def test_the_score_interval_matches_newcombes_worked_example() -> None:
    interval = wilson(81 / 263, 263)
    assert (interval.low, interval.high) == pytest.approx((0.2553, 0.3662), abs=1e-4)


def test_the_gap_of_two_shares_matches_newcombes_worked_example() -> None:
    interval = share_gap(56 / 70, 70, 48 / 80, 80)
    assert (interval.low, interval.high) == pytest.approx((0.0524, 0.3339), abs=1e-4)


def test_360_images_do_not_tell_97_from_98_percent() -> None:
    assert share_gap(0.98, 360, 0.97, 360).low < 0
    assert share_gap(0.98, 50_000, 0.97, 50_000).low > 0


def test_without_images_nothing_is_known() -> None:
    assert (wilson(0.9, 0).low, wilson(0.9, 0).high) == (0.0, 1.0)


@given(SHARE, COUNT)
def test_an_interval_holds_its_share_and_stays_a_share(share: float, n: int) -> None:
    interval = wilson(share, n)
    assert 0 <= interval.low <= share <= interval.high <= 1


@given(st.lists(st.floats(0.1, 1000), min_size=80, max_size=300))
def test_a_p95_interval_holds_the_sample_quantile(latencies: list[float]) -> None:
    interval = p95_interval(latencies)
    assert interval is not None
    ordered = sorted(latencies)
    assert interval.low <= ordered[int(len(ordered) * 0.95)] <= interval.high


def test_few_samples_leave_the_p95_open() -> None:
    assert p95_interval([1.0] * 79) is None


def test_a_p95_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    source = random.Random(1)  # noqa: S311 - a simulation
    hits = 0
    for _ in range(400):
        interval = p95_interval([source.random() for _ in range(200)])
        assert interval is not None
        hits += interval.low <= 0.95 <= interval.high
    assert hits >= 368
