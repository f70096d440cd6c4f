"""A Gaussian belief about the figures of all units of one device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleet.predicting.traits import Floats

#: Degrees of freedom: how soon surprises make a device a stranger. Of 2 to 20, 2 to 5 held
#: their intervals best on kinds of devices that nobody had taught.
_FREEDOM = 3.0


@dataclass(frozen=True, kw_only=True)
class Belief:
    """Normal distribution of logarithms: `mean` [U], `covariance` [U, U], float64."""

    mean: Floats
    covariance: Floats

    @property
    def deviations(self) -> Floats:
        """Standard deviation of each figure, [U]."""
        found: Floats = np.sqrt(np.maximum(np.diag(self.covariance), 1e-18))
        return found

    def given(self, units: NDArray[np.intp], figures: Floats) -> Belief:
        """Belief once `figures` of some `units` are known.

        The conditional of a normal distribution, wider where the figures surprise, as that of
        Student's multivariate t is (Ding, The American Statistician 70(3), 2016): a box whose
        first figures are odd has more to come. It is never narrower than the normal one.
        """
        if not units.size:
            return self
        across = self.covariance[units]
        gain = np.linalg.solve(across[:, units], across).T
        mean = self.mean + gain @ (figures - self.mean[units])
        mean[units] = figures
        surprise = figures - self.mean[units]
        distance = float(surprise @ np.linalg.solve(across[:, units], surprise))
        wider = max(1.0, (_FREEDOM + distance) / (_FREEDOM + units.size))
        covariance = (self.covariance - gain @ across) * wider
        # Exact, and free of the rounding that would leave a little doubt.
        covariance[units] = 0.0
        covariance[:, units] = 0.0
        return Belief(mean=mean, covariance=(covariance + covariance.T) / 2)

    def draws(self, normals: Floats) -> Floats:
        """Samples, [S, U], from standard normal `normals`, [S, U]."""
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        found: Floats = self.mean + normals @ root.T
        return found
