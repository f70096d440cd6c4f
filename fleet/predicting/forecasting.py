"""From what is learnt of a fleet to what one device should measure next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from contract.interval import Z95, Interval
from fleet.choosing.decision import Ref
from fleet.choosing.figure_table import AS_FLOATS
from fleet.choosing.metric import BYTES_PER_MB, Metric
from fleet.choosing.terms import Terms
from fleet.predicting.belief import Belief
from fleet.predicting.contest import Bools, Worlds
from fleet.predicting.fleet_model import FEWEST_TEACHERS, PLAUSIBLE, TEACHING_SHARE, FleetModel
from fleet.predicting.forecast import Forecast, Prediction
from fleet.predicting.record import DeviceRecord, Unit
from fleet.predicting.traits import Floats

_WORLDS = 512
#: A smaller chance to change the decision is not worth a measurement.
_WORTH_MEASURING = 0.02
_PROPOSALS = 3


@dataclass(frozen=True, kw_only=True)
class _Field:
    """The units of one device, and how its possible worlds look."""

    units: tuple[Unit, ...]
    refs: tuple[Ref, ...]
    worlds: Worlds
    #: [U]
    measured: Bools
    #: Chance that each fails, [U].
    fails: Floats


@AS_FLOATS
def forecast(fleet: FleetModel, device: int, terms: Terms, *, seed: int = 0) -> Forecast:
    """What to expect of a device, and what to measure next; the same seed gives the same.

    Possible worlds are drawn from what is believed of its figures. Worth measuring is what
    is best in worlds where the present choice is not: the probability of improvement
    (Kushner 1964), here of the decision by the policy as a whole, with its limits, its order
    of objectives and its ties.

    Args:
        fleet: what was learnt.
        device: row of `fleet.records`.
        terms: limits and objectives of this device.
        seed: of the draws.
    """
    record = fleet.records[device]
    possible = record.refs(fleet.known)
    measured = record.measured
    base = Forecast(
        site=record.site,
        device=record.device,
        policy=terms.policy,
        measured=len(measured),
        possible=len(possible),
        teachers=int((fleet.teachers != device).sum()),
        kin=fleet.kin(device),
    )
    if not fleet.models:
        return msgspec.structs.replace(
            base,
            obstacle=_obstacle(fleet),
            next=tuple(ref for unit, ref in possible.items() if unit not in measured),
        )
    beliefs = fleet.beliefs(device)
    told = {*metrics_of(terms), Metric.PEAK_RSS_MB}
    drawn = {metric: belief for metric, belief in beliefs.items() if metric in told}
    field = _field(fleet, record, possible, drawn, np.random.default_rng(seed))
    best = field.worlds.best(terms)
    present = field.worlds.pick(terms, field.measured)
    changed = np.ones(len(best), dtype=bool) if present is None else ~best[:, present]
    changes = (best & changed[:, None]).mean(axis=0)
    order = [one for one in np.argsort(-changes, kind="stable") if not field.measured[one]]
    change = float((changed & (best & ~field.measured).any(axis=1)).mean())
    predictions = [
        _prediction(fleet, field, beliefs, unit, best=best.mean(axis=0), changes=changes)
        for unit in sorted(order, key=lambda one: -best[:, one].mean())
    ]
    worth = [one for one in order[:_PROPOSALS] if changes[one] > 0 and change >= _WORTH_MEASURING]
    return msgspec.structs.replace(
        base,
        present=None if present is None else field.refs[present],
        change=change,
        next=tuple(field.refs[one] for one in worth),
        predictions=tuple(predictions),
        unknown=tuple(ref for unit, ref in possible.items() if unit not in field.units),
    )


def metrics_of(terms: Terms) -> list[Metric]:
    """Figures that limits and objectives look at."""
    limits = [one.metric for one in terms.constraints]
    return [*limits, *(one.metric for one in terms.objectives)]


def _obstacle(fleet: FleetModel) -> str:
    return (
        f"{len(fleet.teachers)} devices have measured at least {TEACHING_SHARE:.0%} of this bundle "
        f"set; {FEWEST_TEACHERS} are needed to learn from"
    )


def _field(
    fleet: FleetModel,
    record: DeviceRecord,
    possible: Mapping[Unit, Ref],
    beliefs: Mapping[Metric, Belief],
    draw: np.random.Generator,
) -> _Field:
    own = record.measured
    column = {unit: number for number, unit in enumerate(fleet.units)}
    units = tuple(unit for unit in possible if unit in own or unit in column)
    candidates = tuple(own.get(unit) or fleet.known[unit] for unit in units)
    fails = np.array(
        [
            fleet.tally.chance(unit, record) if unit not in own else own[unit].failure is not None
            for unit in units
        ],
        dtype=np.float64,
    )
    shape = (_WORLDS, len(units))
    drawn: dict[Metric, Floats] = {}
    for metric, belief in beliefs.items():
        samples = _figures(belief.draws(draw.standard_normal((_WORLDS, len(fleet.units)))))
        figures = np.full(shape, np.inf)
        for place, unit in enumerate(units):
            if unit in own:
                figures[:, place] = metric.cost(own[unit])
            else:
                figures[:, place] = samples[:, column[unit]]
        drawn[metric] = figures
    return _Field(
        units=units,
        refs=tuple(possible[unit] for unit in units),
        worlds=Worlds(candidates=candidates, drawn=drawn, runs=draw.random(shape) >= fails),
        measured=np.array([unit in own for unit in units]),
        fails=fails,
    )


def _prediction(
    fleet: FleetModel,
    field: _Field,
    beliefs: Mapping[Metric, Belief],
    place: int,
    *,
    best: Floats,
    changes: Floats,
) -> Prediction:
    number = fleet.units.index(field.units[place])
    p50, p50_interval = _expected(beliefs[Metric.P50_MS], number)
    p95, p95_interval = _expected(beliefs[Metric.P95_MS], number)
    peak, peak_interval = _expected(beliefs[Metric.PEAK_RSS_MB], number, BYTES_PER_MB)
    return Prediction(
        ref=field.refs[place],
        p50_ms=p50,
        p50_interval_ms=p50_interval,
        p95_ms=p95,
        p95_interval_ms=p95_interval,
        peak_rss_bytes=round(peak),
        peak_rss_interval_bytes=peak_interval,
        fails=float(field.fails[place]),
        among_best=float(best[place]),
        changes=float(changes[place]),
    )


def _expected(belief: Belief, number: int, unit: float = 1.0) -> tuple[float, Interval]:
    """Median of a figure and its 95 % interval."""
    middle, reach = belief.mean[number], Z95 * belief.deviations[number]
    low, value, high = _figures(np.array([middle - reach, middle, middle + reach])) * unit
    return float(value), Interval(float(low), float(high))


def _figures(logarithms: Floats) -> Floats:
    """Figures by their logarithms; a device full of surprises is believed capable of anything."""
    found: Floats = np.exp(np.clip(logarithms, math.log(PLAUSIBLE.low), math.log(PLAUSIBLE.high)))
    return found
