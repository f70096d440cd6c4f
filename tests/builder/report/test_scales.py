"""Axes and their ticks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.report.scales import Linear, Log, Places, linear_around, log_around

_POSITIVE = st.floats(1e-3, 1e6)


@pytest.mark.parametrize(
    ("scale", "ticks"),
    [
        (Linear(0.812, 0.931), [0.82, 0.84, 0.86, 0.88, 0.9, 0.92]),
        (Linear(-0.7, 0.8), [-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8]),
        (Log(0.5, 30.0), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]),
        (Log(5.2, 44.0), [7.0, 10.0, 15.0, 20.0, 30.0, 40.0]),
        (Log(10.1, 10.9), [10.2, 10.4, 10.6, 10.8]),
        (Places(3), [0.0, 1.0, 2.0]),
    ],
)
def test_ticks_are_round_and_neither_few_nor_many(
    scale: Linear | Log | Places, ticks: list[float]
) -> None:
    assert scale.ticks() == pytest.approx(ticks)


@given(st.lists(_POSITIVE, min_size=1, max_size=20))
def test_all_values_and_some_ticks_lie_on_the_axis(values: list[float]) -> None:
    for scale in (linear_around(values), log_around(values)):
        assert all(0 <= scale.at(value) <= 1 for value in values)
        ticks = scale.ticks()
        assert len(ticks) >= 2
        assert all(-1e-6 <= scale.at(tick) <= 1 + 1e-6 for tick in ticks)


def test_a_logarithmic_axis_puts_equal_ratios_equally_far_apart() -> None:
    scale = Log(1.0, 100.0)

    assert scale.at(10.0) == pytest.approx(0.5)


def test_accuracy_never_has_an_axis_beyond_one() -> None:
    assert linear_around([0.98, 1.0], floor=0.0, ceiling=1.0).high == 1.0
