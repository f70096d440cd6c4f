"""The section `models`: which way to predict errs least, by how much was measured."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesRegressor

from benchmarks.lib.coldstart_fleet import SimulatedDevice, World, devices
from benchmarks.lib.findings import Finding
from benchmarks.lib.tables import measured_table
from builder.progress import Progress
from fleet.choosing.candidate import Candidate
from fleet.choosing.metric import Metric
from fleet.predicting.figure_model import FigureModel, learn
from fleet.predicting.fleet_model import figure_table
from fleet.predicting.record import Unit, known_units
from fleet.predicting.traits import Floats, trait_matrix

_SEED = 1
_TEACHERS = (15, 40, 100)
_MEASURED = (0, 2, 4, 8)
_Rows = NDArray[np.intp]


class Errors(msgspec.Struct, frozen=True, kw_only=True):
    """One model; errors are of p95, as shares of the measured."""

    world: World
    model: str
    teachers: int
    measured: int
    #: Median of the absolute errors, and what one in ten exceeds.
    median_error: float
    ninth_decile: float
    #: Share of the figures within the 95 % interval, and its median half width; None where the
    #: model tells none.
    held: float | None
    half_width: float | None


class AllErrors(msgspec.Struct, frozen=True, kw_only=True):
    """The section."""

    errors: list[Errors]


def measure_models(pupils: int, progress: Progress) -> Finding:
    """Errors on new devices that have measured a few units, drawn by chance."""
    rows = []
    total = len(World) * len(_TEACHERS)
    for number, (world, teachers) in enumerate(itertools.product(World, _TEACHERS)):
        every = list(itertools.islice(devices(world, _SEED), max(_TEACHERS) + pupils))
        rows += _errors(world, [*every[:teachers], *every[max(_TEACHERS) :]], teachers)
        progress.update("models", number + 1, total)
    tables = []
    for world in World:
        table = measured_table(
            f"Errors of predicted p95, {world.value}",
            ("teachers", "measured", "median error", "9 in 10 below", "held", "half width"),
        )
        for one in rows:
            if one.world is world:
                table.add_row(
                    one.model,
                    str(one.teachers),
                    str(one.measured),
                    f"{one.median_error:.1%}",
                    f"{one.ninth_decile:.1%}",
                    "" if one.held is None else f"{one.held:.1%}",
                    "" if one.half_width is None else f"{one.half_width:.1%}",
                )
        tables.append(table)
    return Finding(document=AllErrors(errors=rows), tables=tables, remarks=[])


#: Predicted figures and deviations of one device's units, from what it measured.
_Predict = Callable[[int, Floats], tuple[Floats, Floats | None]]


def _errors(world: World, every: Sequence[SimulatedDevice], teachers: int) -> list[Errors]:
    records = [one.record for one in every]
    known = known_units(records[:teachers])
    ran = Counter(unit for one in records[:teachers] for unit in one.measured)
    units = [unit for unit in known if ran[unit] > 1]
    table = figure_table(Metric.P95_MS, records, units)
    traits = trait_matrix([one.inventory for one in records])
    taught = np.arange(teachers)
    alone = learn(np.zeros((len(records), 1)), table, taught)
    both = learn(traits, table, taught)
    models: dict[str, _Predict] = {
        "inventory and table": _of(both),
        "table alone": _of(alone),
        "inventory alone": _without_figures(_of(both)),
        "extremely random trees": _trees(
            traits, table, taught, [known[unit] for unit in units], units
        ),
    }
    return [
        _error(name, predict, table, world=world, teachers=teachers, count=count)
        for name, predict in models.items()
        for count in _MEASURED
    ]


def _error(
    name: str, predict: _Predict, table: Floats, *, world: World, teachers: int, count: int
) -> Errors:
    draw = np.random.default_rng(count)
    errors: list[float] = []
    held: list[bool] = []
    widths: list[float] = []
    for row in range(teachers, len(table)):
        order = draw.permutation(np.flatnonzero(~np.isnan(table[row])))
        shown = np.full(table.shape[1], np.nan)
        shown[order[:count]] = table[row, order[:count]]
        mean, deviations = predict(row, shown)
        gaps = np.abs(table[row] - mean)[order[count:]]
        errors += np.expm1(gaps).tolist()
        if deviations is not None:
            reach = 1.96 * deviations[order[count:]]
            held += (gaps <= reach).tolist()
            widths += np.expm1(reach).tolist()
    return Errors(
        world=world,
        model=name,
        teachers=teachers,
        measured=count,
        median_error=statistics.median(errors),
        ninth_decile=float(np.quantile(errors, 0.9)),
        held=statistics.fmean(held) if held else None,
        half_width=statistics.median(widths) if widths else None,
    )


def _of(model: FigureModel) -> _Predict:
    def predict(row: int, shown: Floats) -> tuple[Floats, Floats | None]:
        belief = model.belief(row, shown)
        return belief.mean, belief.deviations

    return predict


def _without_figures(predict: _Predict) -> _Predict:
    return lambda row, shown: predict(row, np.full_like(shown, np.nan))


def _trees(
    traits: Floats,
    table: Floats,
    teachers: _Rows,
    candidates: Sequence[Candidate],
    units: Sequence[Unit],
) -> _Predict:
    """Regression on traits and on what a variant is, moved by its mean error on the measured."""
    schemes = sorted({one.scheme for one in candidates})
    architectures = sorted({one.architecture for one in candidates})
    of_units = np.array(
        [
            [
                np.log(one.macs),
                np.log(one.bytes),
                one.input_size,
                unit.share,
                *(one.scheme == scheme for scheme in schemes),
                *(one.architecture == architecture for architecture in architectures),
            ]
            for one, unit in zip(candidates, units, strict=True)
        ],
        dtype=np.float64,
    )
    rows, columns = np.nonzero(~np.isnan(table[teachers]))
    inputs = np.hstack([traits[teachers][rows], of_units[columns]])
    forest = ExtraTreesRegressor(100, random_state=0).fit(inputs, table[teachers][rows, columns])

    def predict(row: int, shown: Floats) -> tuple[Floats, Floats | None]:
        own = np.broadcast_to(traits[row], (len(of_units), traits.shape[1]))
        found: Floats = forest.predict(np.hstack([own, of_units]))
        gaps = shown - found
        return found + (0.0 if np.isnan(gaps).all() else float(np.nanmean(gaps))), None

    return predict
