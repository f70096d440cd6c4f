"""Means and deviations by channel, and what is none."""

from __future__ import annotations

import pytest

from builder.data.standardization import checked_mean, checked_std


@pytest.mark.parametrize("values", [("0", "0.5", "1"), [0, 0.5, 1], (0.0, 0.5, 1.0)])
def test_three_numbers_are_taken_as_words_and_as_numbers(values: object) -> None:
    assert checked_mean(values) == (0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    "values", [["0.5"], [0.5, 0.5], [0.5] * 4, ["0.5", "a", "0.5"], [0.5, 0.5, float("nan")], 0.5]
)
def test_anything_but_three_numbers_is_refused(values: object) -> None:
    for check in (checked_mean, checked_std):
        with pytest.raises(ValueError, match="three numbers"):
            check(values)


@pytest.mark.parametrize("values", [(124.0, 116.0, 104.0), (0.5, 0.5, -0.1)])
def test_means_are_those_of_inputs_from_0_to_1(values: object) -> None:
    with pytest.raises(ValueError, match=r"from 0 to 1.*divide"):
        checked_mean(values)


@pytest.mark.parametrize("values", [(0.5, 0.0, 0.5), (0.5, 0.5, -0.5), (58.0, 57.0, 57.0)])
def test_deviations_are_above_zero(values: object) -> None:
    with pytest.raises(ValueError, match="above 0"):
        checked_std(values)
