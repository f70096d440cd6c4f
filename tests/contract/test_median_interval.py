"""How sure a median is."""

from __future__ import annotations

import numpy as np
import pytest

from contract.interval import median_interval


@pytest.mark.parametrize(
    ("n", "ranks"),
    [(6, (1, 6)), (9, (2, 8)), (15, (4, 12)), (20, (6, 15)), (100, (40, 61))],
)
def test_the_ranks_are_those_of_the_tables(n: int, ranks: tuple[int, int]) -> None:
    """Table A.4 of Conover, Practical Nonparametric Statistics; 100 by the binomial."""
    interval = median_interval([float(rank) for rank in range(n, 0, -1)])

    assert interval is not None
    assert (interval.low, interval.high) == ranks


def test_fewer_than_six_samples_say_nothing() -> None:
    assert median_interval([]) is None
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None


def test_it_holds_the_true_median_about_as_often_as_it_says() -> None:
    samples = np.random.default_rng(0).exponential(size=(2000, 20))
    truth = np.log(2)

    intervals = [median_interval(twenty.tolist()) for twenty in samples]

    held = sum(i is not None and i.low <= truth <= i.high for i in intervals)
    assert 0.945 <= held / 2000 <= 0.985
