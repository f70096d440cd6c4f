"""The interval of a 95th percentile against simple truths."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from fleet.choosing.interval import p95_interval


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
