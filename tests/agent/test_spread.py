"""How well a box repeats itself."""

from __future__ import annotations

import numpy as np
import pytest

from agent.spread import Spread


def test_one_process_each_tells_no_spread() -> None:
    """What differs between processes cannot be seen in one."""
    assert Spread.pooled([[10.0], [3.0]]) is None
    assert Spread.pooled([]) is None


def test_deviations_of_all_variants_are_pooled_as_shares() -> None:
    """Two variants of unlike latency that vary by the same share vary alike."""
    pair = Spread.pooled([[10.0, 11.0], [1.0, 1.1]])
    assert pair is not None
    assert pair.degrees_of_freedom == 2
    assert pair.deviation == pytest.approx(np.log(1.1) / np.sqrt(2.0))


@pytest.mark.parametrize(
    ("degrees", "point"),
    [(1, 12.706), (2, 4.303), (10, 2.228), (14, 2.145), (30, 2.042), (120, 1.980)],
)
def test_few_processes_widen_the_interval_as_students_t_says(degrees: int, point: float) -> None:
    """Points from published tables."""
    spread = Spread(deviation=0.01, degrees_of_freedom=degrees)
    interval = spread.around([5.0])
    assert np.log(interval.high / 5.0) == pytest.approx(0.01 * point, rel=1e-3)
    assert np.log(5.0 / interval.low) == pytest.approx(0.01 * point, rel=1e-3)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Eight variants of two processes each, a thousand sweeps: 95 in 100 hold it."""
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(1000):
        medians = 7.0 * np.exp(rng.normal(0.0, 0.03, (8, 2)))
        spread = Spread.pooled(medians.tolist())
        assert spread is not None
        interval = spread.around(medians[0].tolist())
        held += interval.low <= 7.0 <= interval.high
    assert 930 <= held <= 970
