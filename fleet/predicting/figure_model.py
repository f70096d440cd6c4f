"""One figure (p95, say) of all units on all devices, as learnt from some of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from contract.interval import Z95
from fleet.predicting.belief import Belief
from fleet.predicting.lesson import Lesson, learn_rows
from fleet.predicting.traits import Floats

#: Times that gaps in the table are filled with what the rest of it predicts; it then stands.
_FILLINGS = 4
_HELD_SHARE = 0.95
#: Where all teachers measured the same, nothing is left that a belief could be revised by.
_LEAST_STRETCH = 1e-6
#: Shares of the units that are shown to see how well intervals hold for the others.
_SHOWN_SHARES = (0.0, 0.05, 0.1, 0.2, 0.35)


@dataclass(frozen=True, kw_only=True)
class FigureModel:
    """What to expect of `U` units on each of `D` devices: float64, by the logarithm."""

    #: [D, U]: what its traits and the teachers tell of each device. A teacher does not count
    #: for itself.
    priors: Floats
    #: [D], 0 to 1: how much of what devices differ in is left open; 1 where none is like it.
    novelties: Floats
    #: [U, U] of devices that nobody is like.
    shared: Floats
    #: [U, U] of devices with many like them.
    own: Floats
    #: How many units are measured, and the factor by which intervals must be wider then.
    stretches: tuple[tuple[int, float], ...]

    def belief(self, device: int, figures: Floats) -> Belief:
        """What to expect of a device that has measured `figures` ([U], NaN where it has not)."""
        measured = np.flatnonzero(~np.isnan(figures))
        stretch = next(
            factor for count, factor in reversed(self.stretches) if count <= measured.size
        )
        covariance = self.own + self.novelties[device] * self.shared
        prior = Belief(mean=self.priors[device], covariance=covariance * stretch**2)
        return prior.given(measured, figures[measured])


def learn(traits: Floats, table: Floats, teachers: NDArray[np.intp]) -> FigureModel:
    """Learn from the rows of `table` that `teachers` numbers.

    Args:
        traits: [D, traits].
        table: [D, U], logarithms of figures, NaN where there is none. In each column at least
            one teacher has a figure.
        teachers: [T], at least six.
    """
    known = ~np.isnan(table[teachers])
    rows = _first_guess(table[teachers])
    lesson = learn_rows(traits[teachers], rows)
    for _ in range(0 if known.all() else _FILLINGS):
        for row in np.flatnonzero(~known.all(axis=1)):
            has = np.flatnonzero(known[row])
            rows[row] = lesson.without(int(row)).given(has, rows[row, has]).mean
        lesson = learn_rows(traits[teachers], rows)
    priors, novelties = lesson.apply(traits)
    priors[teachers] = lesson.rows - lesson.residuals
    novelties[teachers] = lesson.novelties
    return FigureModel(
        priors=priors,
        novelties=novelties,
        shared=lesson.shared,
        own=lesson.own,
        stretches=_stretches(lesson, known),
    )


def _first_guess(table: Floats) -> Floats:
    """Fill gaps with the unit's mean and the device's usual distance from such means."""
    columns = np.nanmean(table, axis=0)
    offsets = np.nanmean(table - columns, axis=1)
    return np.where(np.isnan(table), columns + offsets[:, None], table)


def _stretches(lesson: Lesson, known: NDArray[np.bool_]) -> tuple[tuple[int, float], ...]:
    """How much wider intervals must be to hold, by the number of units measured.

    Each teacher is predicted from the others and from a few units of its own, drawn by
    chance; within how many deviations 95 % of its other figures are, so far the interval has
    to reach.
    """
    draw = np.random.default_rng(0)
    units = known.shape[1]
    orders = [draw.permutation(np.flatnonzero(row)) for row in known]
    beliefs = [lesson.without(row) for row in range(len(known))]
    found = []
    for count in sorted({int(share * units) for share in _SHOWN_SHARES}):
        distances = [
            _distances(belief.given(order[:count], row[order[:count]]), row, order[count:])
            for belief, order, row in zip(beliefs, orders, lesson.rows, strict=True)
        ]
        held = float(np.quantile(np.concatenate(distances), _HELD_SHARE))
        found.append((count, max(held / Z95, _LEAST_STRETCH)))
    return tuple(found)


def _distances(belief: Belief, figures: Floats, hidden: NDArray[np.intp]) -> Floats:
    """How far figures are from what was expected, in its deviations."""
    found: Floats = np.abs(figures - belief.mean)[hidden] / belief.deviations[hidden]
    return found
