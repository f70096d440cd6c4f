"""Right answers, and how they compare with the base's."""

from __future__ import annotations

import pytest

from benchmarks.lib.grading import grade

RIGHT = [(0,), (1,), (2,), (3, 4)]


def test_an_answer_counts_where_it_is_among_the_right_outputs() -> None:
    base = [0, 1, 0, 4]
    accuracy = grade(base, base, RIGHT)
    assert accuracy.top1 == pytest.approx(0.75)
    assert accuracy.interval.low < 0.75 < accuracy.interval.high
    assert accuracy.images == 4


def test_the_base_has_no_gap_to_itself() -> None:
    base = [0, 1, 2, 3]
    accuracy = grade(base, base, RIGHT)
    assert accuracy.gap_to_base is None
    assert accuracy.gap_interval is None
    assert accuracy.agreement_with_base == pytest.approx(1.0)


def test_a_gap_is_counted_on_the_same_images() -> None:
    base, other = [0, 1, 2, 3], [0, 0, 2, 4]
    accuracy = grade(other, base, RIGHT)
    assert accuracy.gap_to_base == pytest.approx(-0.25)
    assert accuracy.gap_interval is not None
    assert accuracy.gap_interval.low < -0.25 < accuracy.gap_interval.high
    assert accuracy.agreement_with_base == pytest.approx(0.5)
