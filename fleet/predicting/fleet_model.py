"""What a fleet's measurements teach about devices that have measured less."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from contract.interval import Interval
from fleet.choosing.candidate import Candidate
from fleet.choosing.metric import Metric
from fleet.predicting.belief import Belief
from fleet.predicting.failing import FailureTally
from fleet.predicting.figure_model import FigureModel, learn
from fleet.predicting.record import DeviceRecord, Unit, known_units
from fleet.predicting.traits import Floats, trait_matrix

#: What every run that ended well tells.
ALWAYS_MEASURED = (Metric.P50_MS, Metric.P95_MS, Metric.PEAK_RSS_MB)
#: What some runs tell.
SOMETIMES_MEASURED = (Metric.LOAD_MS, Metric.FIRST_MS, Metric.ENERGY_MJ)
#: In ms, MB and mJ: from less than a step of any clock to thirty years, a million terabytes.
PLAUSIBLE = Interval(1e-9, 1e12)
#: With fewer teachers, intervals held far less often than they should.
FEWEST_TEACHERS = 12
#: A device teaches once it has measured this share of what it could.
TEACHING_SHARE = 0.5
#: More would take long and teach little.
_MOST_TEACHERS = 200
#: Units that fewer teachers have run are not predicted.
_FEWEST_RUNS = 2


@dataclass(frozen=True, kw_only=True)
class FleetModel:
    """A fleet whose devices all have the same bundle set, and what was learnt of it."""

    records: tuple[DeviceRecord, ...]
    #: Every unit that anybody ran well.
    known: dict[Unit, Candidate]
    #: Units that are predicted, in the order of the models' columns.
    units: tuple[Unit, ...]
    #: Empty where there are too few teachers.
    models: dict[Metric, FigureModel]
    #: Rows of `records` that taught.
    teachers: NDArray[np.intp]
    tally: FailureTally

    def with_more(self, device: int, candidates: tuple[Candidate, ...]) -> FleetModel:
        """The same, where one device has measured `candidates` and nothing was learnt of it."""
        more = msgspec.structs.replace(self.records[device], candidates=candidates)
        records = (*self.records[:device], more, *self.records[device + 1 :])
        return dataclasses.replace(self, records=records)

    def kin(self, device: int) -> int:
        """How many others with the same processor taught."""
        processor = self.records[device].processor
        if processor is None:
            return 0
        others = [self.records[row] for row in self.teachers if row != device]
        return sum(one.processor == processor for one in others)

    def beliefs(self, device: int) -> dict[Metric, Belief]:
        """What to expect of the units on one device, by the logarithm of each figure.

        A figure that the device's own runs leave out, as energy where nothing meters it, is
        left out.
        """
        record = self.records[device]
        ran = [one for one in record.candidates if one.failure is None]
        found = {}
        for metric, model in self.models.items():
            figures = _logarithms(metric, record, self.units)
            if not ran or not np.isnan(figures).all() or metric in ALWAYS_MEASURED:
                found[metric] = model.belief(device, figures)
        return found


def learn_fleet(records: Sequence[DeviceRecord], wanted: Iterable[Metric] = ()) -> FleetModel:
    """Learn from those of `records` that have measured most of what they could.

    Args:
        records: devices with one bundle set.
        wanted: figures to learn beside latency and memory, where they are measured.
    """
    known = known_units(records)
    teachers = _teachers(records, known)
    runs = Counter(
        unit
        for row in teachers
        for unit, candidate in records[row].measured.items()
        if candidate.failure is None
    )
    units = tuple(unit for unit in known if runs[unit] >= _FEWEST_RUNS)
    metrics = [*ALWAYS_MEASURED, *(one for one in SOMETIMES_MEASURED if one in set(wanted))]
    is_enough = len(teachers) >= FEWEST_TEACHERS and bool(units)
    traits = trait_matrix([one.inventory for one in records]) if is_enough else np.empty((0, 0))
    models = {
        metric: model
        for metric in (metrics if is_enough else [])
        if (model := _learn(metric, records, units, traits, teachers)) is not None
    }
    return FleetModel(
        records=tuple(records),
        known=known,
        units=units,
        models=models,
        teachers=np.array(teachers, dtype=np.intp),
        tally=FailureTally(records),
    )


def _teachers(records: Sequence[DeviceRecord], known: dict[Unit, Candidate]) -> list[int]:
    """Rows that teach: of each processor in turn, those that measured most first."""
    turns: dict[str | None, list[int]] = {}
    order = sorted(range(len(records)), key=lambda row: -len(records[row].candidates))
    for row in order:
        possible = len(records[row].refs(known))
        if len(records[row].candidates) >= TEACHING_SHARE * possible > 0:
            turns.setdefault(records[row].processor, []).append(row)
    mixed = itertools.chain.from_iterable(itertools.zip_longest(*turns.values()))
    return sorted(itertools.islice((row for row in mixed if row is not None), _MOST_TEACHERS))


def _learn(
    metric: Metric,
    records: Sequence[DeviceRecord],
    units: Sequence[Unit],
    traits: Floats,
    rows: Sequence[int],
) -> FigureModel | None:
    """Model of one figure; None where too few have measured it."""
    table = figure_table(metric, records, units)
    teachers = np.array(
        [row for row in rows if not np.isnan(table[row]).all()],
        dtype=np.intp,
    )
    if teachers.size < FEWEST_TEACHERS or np.isnan(table[teachers]).all(axis=0).any():
        return None
    return learn(traits, table, teachers)


def figure_table(metric: Metric, records: Sequence[DeviceRecord], units: Sequence[Unit]) -> Floats:
    """Logarithms of a figure, [records, units]; NaN where it was not measured or the run failed."""
    return np.array([_logarithms(metric, one, units) for one in records])


def _logarithms(metric: Metric, record: DeviceRecord, units: Sequence[Unit]) -> Floats:
    measured = record.measured
    return np.array([_logarithm(metric, measured.get(unit)) for unit in units], dtype=np.float64)


def _logarithm(metric: Metric, candidate: Candidate | None) -> float:
    if candidate is None or candidate.failure is not None:
        return math.nan
    value = metric.of(candidate)
    # What no box can have measured teaches nothing of other boxes.
    is_plausible = value is not None and PLAUSIBLE.low <= value <= PLAUSIBLE.high
    return math.log(value) if value is not None and is_plausible else math.nan
