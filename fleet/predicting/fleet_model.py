"""What a fleet's measurements teach about devices that have measured less."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleet.choosing.candidate import Candidate
from fleet.choosing.metric import Metric
from fleet.predicting.belief import Belief
from fleet.predicting.failing import FailureTally
from fleet.predicting.figure_model import FigureModel, learn
from fleet.predicting.standing import Standing, Unit, catalogue
from fleet.predicting.traits import Floats, trait_matrix

#: What every run that ended well tells.
ALWAYS_MEASURED = (Metric.P50_MS, Metric.P95_MS, Metric.PEAK_RSS_MB)
#: What some runs tell.
SOMETIMES_MEASURED = (Metric.LOAD_MS, Metric.FIRST_MS, Metric.ENERGY_MJ)
#: With fewer teachers there is no telling how devices differ.
FEWEST_TEACHERS = 5
#: A device teaches once it has measured this share of what it could.
TEACHING_SHARE = 0.5
#: Units that fewer teachers have run are not predicted.
_FEWEST_RUNS = 2


@dataclass(frozen=True, kw_only=True)
class FleetModel:
    """A fleet whose devices all have the same bundle set, and what was learnt of it."""

    standings: tuple[Standing, ...]
    #: Every unit that anybody ran well.
    known: dict[Unit, Candidate]
    #: Units that are predicted, in the order of the models' columns.
    units: tuple[Unit, ...]
    #: Empty where there are too few teachers.
    models: dict[Metric, FigureModel]
    #: Rows of `standings` that taught.
    teachers: NDArray[np.intp]
    tally: FailureTally

    def beliefs(self, device: int) -> dict[Metric, Belief]:
        """What to expect of the units on one device, by the logarithm of each figure.

        A figure that the device's own runs leave out, as energy where nothing meters it, is
        left out.
        """
        standing = self.standings[device]
        ran = [one for one in standing.candidates if one.failure is None]
        found = {}
        for metric, model in self.models.items():
            figures = _logarithms(metric, standing, self.units)
            if not ran or not np.isnan(figures).all() or metric in ALWAYS_MEASURED:
                found[metric] = model.belief(device, figures)
        return found


def learn_fleet(standings: Sequence[Standing], wanted: Iterable[Metric] = ()) -> FleetModel:
    """Learn from those of `standings` that have measured most of what they could.

    Args:
        standings: devices with one bundle set.
        wanted: figures to learn beside latency and memory, where they are measured.
    """
    known = catalogue(standings)
    teachers = [row for row, one in enumerate(standings) if _teaches(one, known)]
    runs = Counter(
        unit
        for row in teachers
        for unit, candidate in standings[row].measured.items()
        if candidate.failure is None
    )
    units = tuple(unit for unit in known if runs[unit] >= _FEWEST_RUNS)
    metrics = [*ALWAYS_MEASURED, *(one for one in SOMETIMES_MEASURED if one in set(wanted))]
    is_enough = len(teachers) >= FEWEST_TEACHERS and bool(units)
    traits = trait_matrix([one.inventory for one in standings]) if is_enough else np.empty((0, 0))
    models = {
        metric: model
        for metric in (metrics if is_enough else [])
        if (model := _learn(metric, standings, units, traits, teachers)) is not None
    }
    return FleetModel(
        standings=tuple(standings),
        known=known,
        units=units,
        models=models,
        teachers=np.array(teachers, dtype=np.intp),
        tally=FailureTally(standings),
    )


def _teaches(standing: Standing, known: dict[Unit, Candidate]) -> bool:
    possible = standing.refs(known)
    return len(standing.candidates) >= TEACHING_SHARE * len(possible) > 0


def _learn(
    metric: Metric,
    standings: Sequence[Standing],
    units: Sequence[Unit],
    traits: Floats,
    rows: Sequence[int],
) -> FigureModel | None:
    """Model of one figure; None where too few have measured it."""
    table = np.array([_logarithms(metric, one, units) for one in standings])
    teachers = np.array(
        [row for row in rows if not np.isnan(table[row]).all()],
        dtype=np.intp,
    )
    if teachers.size < FEWEST_TEACHERS or np.isnan(table[teachers]).all(axis=0).any():
        return None
    return learn(traits, table, teachers)


def _logarithms(metric: Metric, standing: Standing, units: Sequence[Unit]) -> Floats:
    """Logarithms of a figure, [units]; NaN where it was not measured or the run failed."""
    measured = standing.measured
    return np.array([_logarithm(metric, measured.get(unit)) for unit in units], dtype=np.float64)


def _logarithm(metric: Metric, candidate: Candidate | None) -> float:
    if candidate is None or candidate.failure is not None:
        return math.nan
    value = metric.of(candidate)
    return math.log(value) if value else math.nan
