"""What a full table of figures teaches: how devices go with their traits, and units together."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Kernel, WhiteKernel

from fleet.predicting.belief import Belief
from fleet.predicting.traits import Floats

#: Main directions of the table by which the kernel is fitted; the others are mostly noise.
_DIRECTIONS = 5
#: Ranks of the covariances, and the fewest rows for each of them.
_SHARED_RANK, _OWN_RANK = 6, 3
_ROWS_A_RANK = 3
#: Figures that never vary would leave nothing to divide by; this is a thousandth of one percent.
_LEAST_VARIANCE = 1e-10
#: Above this a teacher's residual tells how kinds of devices differ, not how boxes of one do.
_STRANGE = 0.3
_FEWEST_FAMILIAR = 9
#: Parts of the teachers that are left out in turn.
_FOLDS = 5


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """A Gaussian process over `T` devices and `U` units.

    Two terms, each a kernel of devices times a covariance of units: the linear model of
    coregionalisation (Alvarez, Rosasco and Lawrence, Kernels for Vector-Valued Functions,
    2012, section 4.2). What devices with like traits share: a kernel of their traits, times
    the covariance of the whole table. What is each device's own: times the covariance of what is
    left where each teacher is predicted from the others. Either covariance is of a low rank
    with noise.
    """

    rows: Floats
    traits: Floats
    mean: Floats
    #: Of the traits, without the noise that is each device's own; 1 for a device and itself.
    kernel: Kernel
    inverse: Floats
    weights: Floats
    #: [T, U]: what is left where each teacher is predicted from the others.
    residuals: Floats
    #: [T], 0 to 1: how much of what devices differ in the others leave open.
    novelties: Floats
    shared: Floats
    own: Floats
    #: For each teacher the covariance `own` without the part that it is in.
    own_without: tuple[Floats, ...]

    def apply(self, traits: Floats) -> tuple[Floats, Floats]:
        """Expected figures, [D, U], and novelties, [D], of devices by their traits."""
        cross = self.kernel(traits, self.traits)
        explained = np.einsum("dt,ts,ds->d", cross, self.inverse, cross)
        return self.mean + cross @ self.weights, np.clip(1.0 - explained, 0.0, 1.0)

    def without(self, row: int) -> Belief:
        """What to expect of a teacher from the others."""
        return Belief(
            mean=self.rows[row] - self.residuals[row],
            covariance=self.own_without[row] + self.novelties[row] * self.shared,
        )


def learn_rows(traits: Floats, rows: Floats) -> Lesson:
    """Learn from full rows, [T, U], of devices with `traits`, [T, traits]."""
    mean = rows.mean(axis=0)
    kernel, noise = _kernel(traits, rows - mean)
    inverse = np.linalg.inv(kernel(traits) + noise * np.eye(len(rows)))
    weights = inverse @ (rows - mean)
    # Leaving one out in closed form: Rasmussen and Williams, Gaussian Processes for Machine
    # Learning, 2006, section 5.4.2.
    variances = 1.0 / np.diag(inverse)
    residuals = weights * variances[:, None]
    novelties = np.clip(variances - noise, 0.0, 1.0)
    parts = np.arange(len(rows)) % _FOLDS
    without = [_own(residuals[parts != part], novelties[parts != part]) for part in range(_FOLDS)]
    return Lesson(
        rows=rows,
        traits=traits,
        mean=mean,
        kernel=kernel,
        inverse=inverse,
        weights=weights,
        residuals=residuals,
        novelties=novelties,
        shared=_covariance(rows - mean, _SHARED_RANK),
        own=_own(residuals, novelties),
        own_without=tuple(without[part] for part in parts),
    )


def _kernel(traits: Floats, centred: Floats) -> tuple[Kernel, float]:
    """Likeliest kernel of the traits, 1 for a device and itself, and the noise beside it."""
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    count = max(1, min(_DIRECTIONS, len(traits) - 1))
    # Large directions weigh more: they are what has to be predicted.
    scores = left[:, :count] * np.sqrt(len(traits)) * sizes[:count] / max(sizes[0], 1e-12)
    shape = ConstantKernel(1.0, (1e-3, 1e3)) * RBF(2.0, (0.1, 100.0)) + WhiteKernel(
        0.1, (1e-5, 10.0)
    )
    with warnings.catch_warnings():
        # A bound that is reached is an answer.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = GaussianProcessRegressor(shape, random_state=0).fit(traits, scores).kernel_
    amplitude = found.k1.k1.constant_value
    return found.k1.k2, float(found.k2.noise_level / amplitude)


def _own(residuals: Floats, novelties: Floats) -> Floats:
    """Covariance of what is a device's own, from the devices that have others like them."""
    order = np.argsort(novelties, kind="stable")
    familiar = max(_FEWEST_FAMILIAR, int((novelties <= _STRANGE).sum()))
    return _covariance(residuals[order[:familiar]], _OWN_RANK)


def _covariance(rows: Floats, rank: int) -> Floats:
    """Low-rank covariance with equal noise on all units, of rows that have no mean.

    Probabilistic principal components: Tipping and Bishop, Journal of the Royal Statistical
    Society B 61(3), 1999.
    """
    least = _LEAST_VARIANCE * np.eye(rows.shape[1])
    if not rows.any():
        return least
    count = max(1, min(rank, len(rows) // _ROWS_A_RANK, rows.shape[1]))
    # With their mirror images they have no mean at all.
    fitted = PCA(count, random_state=0).fit(np.vstack([rows, -rows]))
    found: Floats = fitted.get_covariance() + least
    return found
