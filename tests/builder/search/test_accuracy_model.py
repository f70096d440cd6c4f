from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.search.accuracy_model import predict_top1
from builder.search.candidate import Candidate, Space
from contract.manifest import Scheme
from support.simulated_host import SimulatedHost

SPACE = Space(input_sizes={"one": (64, 48), "two": (64, 48)}, ratios=(0.1, 0.3, 0.5, 0.7))
CANDIDATES = SPACE.candidates()
NO_PRIOR = dict.fromkeys(CANDIDATES, 0.0)


def prior(candidate: Candidate) -> float:
    return 0.2 * (candidate.prune_ratio or 0.0) ** 2


PRIOR = {candidate: prior(candidate) for candidate in CANDIDATES}


@given(
    measured=st.dictionaries(st.sampled_from(CANDIDATES), st.floats(0, 1), max_size=12),
    prior_drops=st.sampled_from([PRIOR, NO_PRIOR]),
)
def test_whatever_was_measured_more_pruning_is_never_predicted_to_be_better(
    measured: dict[Candidate, float], prior_drops: dict[Candidate, float]
) -> None:
    predicted = predict_top1(SPACE, measured, prior_drops)
    families: dict[object, list[Candidate]] = {}
    for candidate in CANDIDATES:
        if candidate.prune_ratio is not None:
            key = (candidate.architecture, candidate.scheme, candidate.input_size)
            families.setdefault(key, []).append(candidate)
    for family in families.values():
        for less, more in pairwise(family):
            assert predicted[more].mean <= predicted[less].mean
    assert all(0 <= one.mean <= 1 and one.sd > 0 for one in predicted.values())


def test_before_any_trial_drops_are_those_that_sensitivities_foretell() -> None:
    predicted = predict_top1(SPACE, {}, PRIOR)
    base = predicted[SPACE.baseline]
    pruned = Candidate(architecture="one", prune_ratio=0.5, input_size=64)
    assert base.mean - predicted[pruned].mean == pytest.approx(prior(pruned))


def test_what_int8_costs_on_one_network_is_expected_on_all_its_variants() -> None:
    measured = {
        SPACE.baseline: 0.9,
        Candidate(architecture="one", scheme=Scheme.STATIC_INT8, input_size=64): 0.8,
    }
    predicted = predict_top1(SPACE, measured, PRIOR)
    for ratio in SPACE.ratios:
        floats = Candidate(architecture="one", prune_ratio=ratio, input_size=64)
        integers = Candidate(
            architecture="one", prune_ratio=ratio, scheme=Scheme.STATIC_INT8, input_size=64
        )
        assert predicted[floats].mean - predicted[integers].mean == pytest.approx(0.1, abs=0.02)


def test_one_trial_corrects_a_prior_that_foretold_too_little_for_its_neighbours() -> None:
    hurt = Candidate(architecture="one", prune_ratio=0.5, input_size=64)
    near = Candidate(architecture="one", prune_ratio=0.7, input_size=64)
    other = Candidate(architecture="two", prune_ratio=0.5, input_size=64)
    measured = {SPACE.baseline: 0.9, SPACE.base("two"): 0.9}
    before = predict_top1(SPACE, measured, PRIOR)
    after = predict_top1(SPACE, {**measured, hurt: 0.9 - 4 * prior(hurt)}, PRIOR)
    assert after[near].mean < before[near].mean - prior(near)
    assert before[near].mean > after[other].mean
    # What one network shows counts for another one, though less.
    assert after[other].mean < before[other].mean - 0.2 * prior(other)


def test_measuring_makes_predictions_nearby_more_certain() -> None:
    middle = Candidate(architecture="one", prune_ratio=0.5, input_size=64)
    near = Candidate(architecture="one", prune_ratio=0.3, input_size=64)
    before = predict_top1(SPACE, {SPACE.baseline: 0.9}, PRIOR)
    after = predict_top1(SPACE, {SPACE.baseline: 0.9, middle: 0.85}, PRIOR)
    assert after[near].sd < before[near].sd


def test_most_accuracies_lie_within_the_interval(space: Space) -> None:
    host = SimulatedHost(top1={"one": 0.9}, top1_noise=0.002)
    everyone = space.candidates()
    measured = {candidate: host.true_top1(candidate) for candidate in everyone[::6]}
    prior_drops = {candidate: host.prior_drop(candidate) for candidate in everyone}
    predicted = predict_top1(space, measured, prior_drops)
    inside = []
    for candidate in everyone:
        low, high = predicted[candidate].interval
        inside.append(low <= host.true_top1(candidate) <= high)
    assert sum(inside) >= 0.85 * len(inside)
