"""How much of the unknown front each candidate would settle."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from builder.search.normal import Normal
from builder.search.promise import Point, Promise

#: Differences that mean nothing: two percent of time, half a point of top-1.
_TIE_LOG_MS = 0.02
_TIE_TOP1 = 0.005
#: The models err alike for candidates that are alike, so differences of two predictions are
#: better known than either. This is their deviation as a share of what independence gives, as
#: for errors with a correlation of 0.9.
_DIFFERENCE = 0.3
#: A variant with less than this share of the best accuracy is of little use to anyone: what it
#: covers counts a tenth.
_USEFUL_SHARE = 0.5
_LITTLE_USE = 0.1


def expected_coverage(promises: Sequence[Promise], front: Sequence[Point]) -> NDArray[np.float64]:
    """Number of candidates that each one is expected to make superfluous, itself included.

    Candidates that are hardly half as accurate as the best are counted as a tenth.

    A candidate is covered where something measured is as fast and as accurate, ties allowed.
    To build the one that newly covers most is the greedy method for maximum coverage
    (Nemhauser, Wolsey and Fisher, Mathematical Programming 14, 1978). What is covered in the
    end is the share of any plain grid of the same candidates that the search's front matches
    or beats. In simulated searches that share was greater than with the expected hypervolume
    improvement, which spends its trials on the widest gaps.

    Args:
        promises: predictions of the candidates that are left.
        front: Pareto front of what was measured, by rising time.

    Returns:
        One figure for each of `promises`, at least 0.
    """
    # A front shifted by the ties covers what the front covers within them.
    shifted = [Point(p.log_ms - _TIE_LOG_MS, p.top1 + _TIE_TOP1) for p in front]
    useful_top1 = _USEFUL_SHARE * max((point.top1 for point in front), default=0.0)
    useless = np.array([promise.top1.below(useful_top1) for promise in promises])
    uncovered = np.array([promise.chance_of_front(shifted) for promise in promises])
    uncovered *= 1 - (1 - _LITTLE_USE) * useless
    is_faster = _chances_below([promise.log_ms for promise in promises], _TIE_LOG_MS)
    # Row: the candidate that covers; column: the one that is covered.
    is_better = _chances_below([promise.top1 for promise in promises], _TIE_TOP1).T
    covers = is_faster * is_better
    np.fill_diagonal(covers, 1.0)
    coverage: NDArray[np.float64] = covers @ uncovered
    return coverage


def _chances_below(values: Sequence[Normal], tie: float) -> NDArray[np.float64]:
    """Probability for each pair that the first value exceeds the second by at most `tie`."""
    means = np.array([value.mean for value in values])
    deviations = np.array([value.sd for value in values])
    spread = _DIFFERENCE * np.hypot(deviations[:, None], deviations)
    chances: NDArray[np.float64] = ndtr((means - means[:, None] + tie) / spread)
    return chances
