"""What a device has measured changes what is expected of the rest."""

from __future__ import annotations

import numpy as np
import pytest

from fleet.predicting.belief import Belief

#: Two units that go together, and one that goes its own way.
PRIOR = Belief(
    mean=np.zeros(3),
    covariance=np.array([[1.0, 0.9, 0.0], [0.9, 1.0, 0.0], [0.0, 0.0, 1.0]]),
)


def test_what_is_measured_is_certain_and_moves_what_goes_with_it() -> None:
    told = PRIOR.given(np.array([0]), np.array([1.0]))
    assert told.mean.tolist() == pytest.approx([1.0, 0.9, 0.0])
    assert told.covariance[0].tolist() == [0.0, 0.0, 0.0]
    assert told.deviations[1] == pytest.approx(np.sqrt(1 - 0.81))
    assert told.deviations[2] == pytest.approx(1.0)


def test_a_surprising_figure_makes_all_others_less_certain() -> None:
    usual = PRIOR.given(np.array([0]), np.array([0.5]))
    odd = PRIOR.given(np.array([0]), np.array([5.0]))
    assert odd.deviations[2] > 2 * usual.deviations[2]


def test_without_figures_it_stays() -> None:
    assert PRIOR.given(np.array([], dtype=np.intp), np.array([])) is PRIOR


def test_draws_have_its_mean_and_covariance_and_keep_what_is_measured() -> None:
    normals = np.random.default_rng(0).standard_normal((20_000, 3))
    drawn = PRIOR.draws(normals)
    assert np.cov(drawn.T) == pytest.approx(PRIOR.covariance, abs=0.05)
    told = PRIOR.given(np.array([1]), np.array([0.7])).draws(normals)
    assert told[:, 1] == pytest.approx(np.full(len(told), 0.7), abs=1e-6)
