"""How accurate a variant that was never built would be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from builder.search.candidate import Candidate, Space
from builder.search.normal import Normal
from contract.manifest import Scheme

Matrix = NDArray[np.float64]

#: Top-1 that is expected of a network before any of its variants is measured, and how far
#: networks lie from it, together and each.
_TOP1 = 0.7
_LEVEL_SD = 0.3
_NETWORK_SD = 0.15
#: What a scheme costs on all networks, and on one of them beyond that.
_SCHEME_SD = 0.02
#: What the fine-tuning that follows pruning gains or loses.
_TUNING_SD = 0.01
#: By how much drops foretold from sensitivities are off, as a factor: on all networks, and on
#: one of them.
_PRIOR_SD = 0.5
#: Drop per squared share of filters that sensitivities did not foretell.
_PRUNING_SD = 0.05
#: Drop per squared logarithm of the input's shrinking. Networks of ImageNet that were not
#: tuned for it lose about 4 points from 224 to 160 pixels and 11 to 128.
_SHRINKING = 0.3
_SHRINKING_SD = 0.2
_SHRINKING_SLOPE_SD = 0.03
#: What the sums above cannot follow: its size at no drop and for each unit of drop, and over
#: which differences of ratio and of logarithmic size it stays alike.
_ROUGHNESS_SD = 0.003
_ROUGHNESS_PER_DROP = 0.3
_RATIO_LENGTH = 0.2
_SIZE_LENGTH = 0.25
_OTHER_SCHEME_LIKENESS = 0.7
#: Chance that stays in an accuracy measured on the same images each time.
_NOISE_SD = 0.002
#: Factors on all of the uncertainty about drops, of which the likeliest is taken.
_SCALES = (0.5, 1.0, 2.0, 4.0)


@dataclass(frozen=True, kw_only=True)
class _Traits:
    """What the model knows of some candidates; arrays of one length."""

    network: Matrix
    #: -1 for FP32, which is no change.
    scheme: Matrix
    ratio: Matrix
    #: Logarithm of the base's input over the candidate's.
    shrinking: Matrix
    #: Drop foretold from sensitivities.
    foretold: Matrix

    @property
    def drop(self) -> Matrix:
        """Drop that is expected before anything is measured."""
        return self.foretold + _SHRINKING * self.shrinking**2


def predict_top1(
    space: Space,
    measured: Mapping[Candidate, float],
    prior_drops: Mapping[Candidate, float],
) -> dict[Candidate, Normal]:
    """Top-1 of every candidate that `prior_drops` names.

    A Gaussian process: linear effects of pruning, scheme, resolution and network, each on all
    networks and on one, with priors as above, and a smooth remainder (Rasmussen and Williams,
    Gaussian Processes for Machine Learning, 2006, equations 2.25, 2.26 and 2.30). Its mean
    before any measurement is the drop foretold from sensitivities.

    More pruning is never predicted to be better than less. No pruning at all is outside that
    rule, because pruned variants are tuned, which may gain.

    Args:
        space: the space that the candidates are from.
        measured: top-1 of candidates that were built, all of them among `prior_drops`.
        prior_drops: drop of top-1 against the network's own base that sensitivities foretell.
    """
    candidates = sorted(prior_drops)
    if not candidates:
        return {}
    known = sorted(measured)
    everyone = _traits(space, candidates, prior_drops)
    if not known:
        mean = _TOP1 - everyone.drop
        deviation = np.sqrt(_level(everyone, everyone).diagonal() + _diagonal(everyone))
    else:
        mean, deviation = _condition(
            everyone,
            _traits(space, known, prior_drops),
            np.array([measured[candidate] for candidate in known]),
        )
    mean = _ordered(candidates, np.clip(mean, 0.0, 1.0))
    return {
        candidate: Normal(float(mean[place]), float(deviation[place]))
        for place, candidate in enumerate(candidates)
    }


def _traits(
    space: Space, candidates: Sequence[Candidate], prior_drops: Mapping[Candidate, float]
) -> _Traits:
    networks = list(space.architectures)
    schemes = [scheme for scheme in Scheme if scheme is not Scheme.FP32]
    rows = [
        (
            networks.index(one.architecture),
            -1 if one.scheme is Scheme.FP32 else schemes.index(one.scheme),
            one.prune_ratio or 0.0,
            math.log(space.base_size(one.architecture) / one.input_size),
            prior_drops[one],
        )
        for one in candidates
    ]
    network, scheme, ratio, shrinking, foretold = np.array(rows, dtype=np.float64).T
    return _Traits(
        network=network, scheme=scheme, ratio=ratio, shrinking=shrinking, foretold=foretold
    )


def _condition(everyone: _Traits, known: _Traits, top1: Matrix) -> tuple[Matrix, Matrix]:
    """Mean and deviation of everyone's top-1, given that of those `known`."""
    surprise = top1 - (_TOP1 - known.drop)
    level, effects = _level(known, known), _effects(known, known)
    noise = _NOISE_SD**2 * np.eye(len(top1))

    def misfit(scale: float) -> float:
        factor = np.linalg.cholesky(level + scale**2 * effects + noise)
        whitened = np.linalg.solve(factor, surprise)
        return float(0.5 * whitened @ whitened + np.log(factor.diagonal()).sum())

    scale = min(_SCALES, key=misfit)
    factor = np.linalg.cholesky(level + scale**2 * effects + noise)
    shared = _level(known, everyone) + scale**2 * _effects(known, everyone)
    whitened = np.linalg.solve(factor, shared)
    mean = _TOP1 - everyone.drop + whitened.T @ np.linalg.solve(factor, surprise)
    prior = _level(everyone, everyone).diagonal() + scale**2 * _diagonal(everyone)
    variance = prior - (whitened**2).sum(axis=0) + _NOISE_SD**2
    return mean, np.sqrt(np.maximum(variance, _NOISE_SD**2))


def _level(one: _Traits, other: _Traits) -> Matrix:
    """Covariance of how good the networks themselves are."""
    return _LEVEL_SD**2 + _NETWORK_SD**2 * _same(one.network, other.network)


def _effects(one: _Traits, other: _Traits) -> Matrix:
    """Covariance of drops: what holds for all networks, as much again for each, and the rest."""
    own = _same(one.network, other.network)
    schemes = _same(one.scheme, other.scheme)
    linear = (
        _SCHEME_SD**2 * schemes * np.outer(one.scheme >= 0, other.scheme >= 0)
        + _TUNING_SD**2 * np.outer(one.ratio > 0, other.ratio > 0)
        + _PRIOR_SD**2 * np.outer(one.foretold, other.foretold)
        + _PRUNING_SD**2 * np.outer(one.ratio**2, other.ratio**2)
        + _SHRINKING_SD**2 * np.outer(one.shrinking**2, other.shrinking**2)
        + _SHRINKING_SLOPE_SD**2 * np.outer(one.shrinking, other.shrinking)
    )
    distance = ((one.ratio[:, None] - other.ratio) / _RATIO_LENGTH) ** 2
    distance += ((one.shrinking[:, None] - other.shrinking) / _SIZE_LENGTH) ** 2
    likeness = _OTHER_SCHEME_LIKENESS + (1 - _OTHER_SCHEME_LIKENESS) * schemes
    rest = np.outer(_roughness(one), _roughness(other)) * np.exp(-0.5 * distance) * likeness
    return linear * (1 + own) + rest * own


def _diagonal(traits: _Traits) -> Matrix:
    """Variance of each drop, without the covariances: there may be thousands of candidates."""
    linear = (
        _SCHEME_SD**2 * (traits.scheme >= 0)
        + _TUNING_SD**2 * (traits.ratio > 0)
        + _PRIOR_SD**2 * traits.foretold**2
        + _PRUNING_SD**2 * traits.ratio**4
        + _SHRINKING_SD**2 * traits.shrinking**4
        + _SHRINKING_SLOPE_SD**2 * traits.shrinking**2
    )
    return 2 * linear + _roughness(traits) ** 2


def _roughness(traits: _Traits) -> Matrix:
    return _ROUGHNESS_SD + _ROUGHNESS_PER_DROP * np.abs(traits.drop)


def _same(one: Matrix, other: Matrix) -> Matrix:
    same: Matrix = np.equal(one[:, None], other).astype(np.float64)
    return same


def _ordered(candidates: Sequence[Candidate], mean: Matrix) -> Matrix:
    """Lower each pruned candidate's mean to those of its siblings with less pruning."""
    lowest: dict[tuple[object, ...], float] = {}
    ordered = mean.copy()
    for place in sorted(range(len(candidates)), key=lambda n: candidates[n].prune_ratio or 0.0):
        candidate = candidates[place]
        if candidate.prune_ratio is not None:
            family = (candidate.architecture, candidate.scheme, candidate.input_size)
            ordered[place] = lowest[family] = min(lowest.get(family, 1.0), mean[place])
    return ordered
