"""Who would be chosen in each of many possible worlds: `choosing.selection` by the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleet.choosing.candidate import Candidate
from fleet.choosing.metric import Metric
from fleet.choosing.terms import Constraint, Operator, Terms
from fleet.choosing.tie import MATERIAL_SHARE, is_tie
from fleet.predicting.traits import Floats

Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Worlds:
    """Figures of `U` units in `S` possible worlds.

    Ties are those of choosing but for one thing: two latencies tie within 2 %, however wide
    their intervals. Which of them is better could be told by measuring longer.
    """

    #: In order of the units. Only what is the same on every device is looked at.
    candidates: Sequence[Candidate]
    #: Figures as policies name them, [S, U]; a metric that nobody measures is left out.
    drawn: Mapping[Metric, Floats]
    #: Whether the unit runs at all, [S, U].
    runs: Bools

    def best(self, terms: Terms, among: Bools | None = None) -> Bools:
        """Units that no objective of `terms` tells from the winner, [S, U].

        Where nothing is within the limits, the nearest miss alone; where nothing runs, none.

        Args:
            terms: limits and objectives.
            among: [U], units that may win; None for all.
        """
        usable = self.runs if among is None else self.runs & among
        left = usable.copy()
        excess = np.zeros(usable.shape)
        for constraint in terms.constraints:
            excess += self._excess(constraint)
        left &= excess <= 0
        misses = ~left.any(axis=1)
        left[misses] = _least(np.where(usable, excess, np.inf))[misses] & usable[misses]
        for objective in terms.objectives:
            left &= self._ties_with_best(objective.metric, left)
        return left

    def pick(self, terms: Terms, among: Bools) -> int | None:
        """Unit that is chosen in the first world; of what ties, the one of least memory."""
        left = self.best(terms, among)[0]
        if not left.any():
            return None
        memory = np.where(left, self._costs(Metric.PEAK_RSS_MB)[0], np.inf)
        return int(memory.argmin())

    def _costs(self, metric: Metric) -> Floats:
        """What is to be kept small, [S, U]; infinite where it was not measured."""
        if metric in self.drawn:
            return self.drawn[metric]
        same = np.array([metric.cost(one) for one in self.candidates], dtype=np.float64)
        if metric not in _SAME_EVERYWHERE:
            same[:] = np.inf
        found: Floats = np.broadcast_to(same, self.runs.shape)
        return found

    def _excess(self, constraint: Constraint) -> Floats:
        """How far beyond a limit, as `Constraint.excess`, [S, U]."""
        sign = 1.0 if constraint.operator is Operator.AT_MOST else -1.0
        a_unit_beyond = constraint.excess(constraint.limit + sign)
        beyond = self._costs(constraint.metric) - sign * constraint.limit
        found: Floats = np.maximum(0.0, beyond) * a_unit_beyond
        return found

    def _ties_with_best(self, metric: Metric, left: Bools) -> Bools:
        costs = np.where(left, self._costs(metric), np.inf)
        if metric not in _SAME_EVERYWHERE:
            lowest = costs.min(axis=1, keepdims=True)
            found: Bools = (costs <= lowest * (1.0 + MATERIAL_SHARE)) | (costs == lowest)
            return found
        best, place = np.unique(costs.argmin(axis=1), return_inverse=True)
        ties = [
            [is_tie(metric, self.candidates[one], other) for other in self.candidates]
            for one in best
        ]
        return np.array(ties, dtype=np.bool_)[place]


#: What a variant has whatever it runs on.
_SAME_EVERYWHERE = frozenset({Metric.SIZE_MB, Metric.TOP1, Metric.TOP3, Metric.TOP1_DROP})


def _least(costs: Floats) -> Bools:
    """Mark the first of the lowest in each row."""
    found = np.zeros(costs.shape, dtype=np.bool_)
    found[np.arange(len(costs)), costs.argmin(axis=1)] = True
    return found
