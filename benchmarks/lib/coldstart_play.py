"""A device measures one variant after the other: by the predictor, or by simpler rules."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.lib.coldstart_fleet import SimulatedDevice
from fleet.choosing.candidate import Candidate
from fleet.choosing.decision import Evidence, Outcome, Status, ref_of
from fleet.choosing.metric import Metric
from fleet.choosing.selection import decide, first_difference
from fleet.choosing.terms import Terms
from fleet.predicting.fleet_model import FleetModel
from fleet.predicting.forecast import Forecast
from fleet.predicting.forecasting import forecast

#: Found is what is at most so much slower than the best.
TOLERANCE = 0.03
#: Budget of each device, as a share of what it could measure.
BUDGET_SHARE = 1 / 3
_SAME_EVERYWHERE = {Metric.TOP1, Metric.TOP3, Metric.TOP1_DROP, Metric.SIZE_MB}


@dataclass(frozen=True, kw_only=True)
class Play:
    """What one device measured, in order, and what was forecast at the end."""

    measured: tuple[Candidate, ...]
    last: Forecast


def play(fleet: FleetModel, row: int, device: SimulatedDevice, terms: Terms) -> Play:
    """Measure the baseline, then what the forecast says, until a third of all is done."""
    runs = {ref_of(one): one for one in device.record.candidates}
    measured = list(device.start)
    while True:
        told = forecast(fleet.with_more(row, tuple(measured)), row, terms)
        if not told.next or len(measured) + 1 > BUDGET_SHARE * len(runs):
            return Play(measured=tuple(measured), last=told)
        measured.append(runs[told.next[0]])


def by_chance(device: SimulatedDevice, terms: Terms) -> list[Candidate]:
    """Order to measure in: by chance, of those that the policy does not rule out anywhere."""
    eligible = _eligible(device, terms)
    random.Random(device.record.device).shuffle(eligible)  # noqa: S311 - simulates
    return eligible


def by_macs(device: SimulatedDevice, terms: Terms) -> list[Candidate]:
    """Order to measure in: least work and most threads first."""
    return sorted(_eligible(device, terms), key=lambda one: (one.macs, -one.threads))


class Votes:
    """What teachers would choose under one policy, by kind."""

    def __init__(self, teachers: Sequence[SimulatedDevice], terms: Terms) -> None:
        self._own: Counter[tuple[str, str, bool]] = Counter()
        self._every: Counter[tuple[str, bool]] = Counter()
        for one in teachers:
            pick = outcome(one, one.record.candidates, terms).pick
            if pick is not None:
                self._own[one.kind, pick.variant, pick.threads == 1] += 1
                self._every[pick.variant, pick.threads == 1] += 1

    def order(self, device: SimulatedDevice, terms: Terms) -> list[Candidate]:
        """Order to measure in: what most of its kind chose, then what most did."""

        def popularity(one: Candidate) -> tuple[int, int]:
            key = one.variant, one.threads == 1
            return -self._own[device.kind, *key], -self._every[key]

        return sorted(by_chance(device, terms), key=popularity)


def outcome(device: SimulatedDevice, runs: Sequence[Candidate], terms: Terms) -> Outcome:
    """What the policy chooses of some runs."""
    record = device.record
    evidence = Evidence(
        site=record.site,
        device=record.device,
        terms=terms,
        candidates=tuple(runs),
        stale_runs=0,
    )
    return decide(evidence)


def is_fast_enough(device: SimulatedDevice, runs: Sequence[Candidate], terms: Terms) -> bool:
    """Whether the fastest of `runs` within the limits is truly within 3 % of the best of all."""
    true = device.true_p95_ms
    every = [true[ref_of(one)] for one in device.record.candidates if _fits(one, terms)]
    found = [true[ref_of(one)] for one in runs if _fits(one, terms)]
    return not every or (bool(found) and min(found) <= (1 + TOLERANCE) * min(every))


def is_as_good(device: SimulatedDevice, runs: Sequence[Candidate], terms: Terms) -> bool:
    """Whether the policy tells its choice of `runs` from its choice of all, or finds it better."""
    best = outcome(device, device.record.candidates, terms)
    found = outcome(device, runs, terms)
    if best.pick is None:
        return True
    if found.pick is None or found.status is not best.status:
        return False
    if best.status is Status.NEAREST_MISS:
        return found.pick == best.pick
    measured = device.record.measured
    wanted, got = (measured[device.record.unit_of(pick)] for pick in (best.pick, found.pick))
    metric = first_difference(wanted, got, terms.objectives)
    return metric is None or metric.cost(got) <= metric.cost(wanted)


def _fits(one: Candidate, terms: Terms) -> bool:
    limits = terms.constraints
    return one.failure is None and all(limit.is_met(limit.metric.of(one)) for limit in limits)


def _eligible(device: SimulatedDevice, terms: Terms) -> list[Candidate]:
    limits = [limit for limit in terms.constraints if limit.metric in _SAME_EVERYWHERE]
    done = {ref_of(one) for one in device.start}
    return [
        one
        for one in device.record.candidates
        if ref_of(one) not in done and all(limit.is_met(limit.metric.of(one)) for limit in limits)
    ]
