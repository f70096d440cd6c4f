"""The sections `known` and `unseen`: new devices of a fleet that has been measured in part."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from rich.table import Table

from benchmarks.lib.coldstart_fleet import SimulatedDevice, World, devices
from benchmarks.lib.coldstart_play import (
    BUDGET_SHARE,
    Play,
    Votes,
    by_chance,
    by_macs,
    is_as_good,
    is_fast_enough,
    play,
)
from benchmarks.lib.findings import Finding
from benchmarks.lib.tables import measured_table
from builder.progress import Progress
from fleet.choosing.candidate import Candidate
from fleet.choosing.metric import Metric
from fleet.choosing.policy import load_policy, parse_policy
from fleet.choosing.terms import Terms
from fleet.predicting.fleet_model import FleetModel, learn_fleet
from fleet.simulating.classes import device_classes

_TEACHERS = 40
_SEED = 1
_WIDE = """
name = "fastest within 10 points"
constraints = ["top1_drop <= 0.1"]
objectives = ["min p95_ms", "max top1"]
"""


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How one way to choose what to measure did, over all devices; shares are 0 to 1."""

    way: str
    #: Of the devices.
    found: float
    #: Of what the devices could measure, the mean and the most of any.
    measured: float
    most_measured: float


class Heat(msgspec.Struct, frozen=True, kw_only=True):
    """One world and policy."""

    world: World
    policy: str
    teachers: int
    devices: int
    variants_and_threads: int
    scores: list[Score]
    #: Share of the unmeasured p95 that ended up within the predicted 95 % interval.
    held: float
    predicted: int


class Heats(msgspec.Struct, frozen=True, kw_only=True):
    """A section."""

    heats: list[Heat]


@dataclass(frozen=True, kw_only=True)
class Class:
    """Teachers, what was learnt from them, and new devices."""

    teachers: Sequence[SimulatedDevice]
    pupils: Sequence[SimulatedDevice]
    fleet: FleetModel


def class_of(teachers: Sequence[SimulatedDevice], pupils: Sequence[SimulatedDevice]) -> Class:
    """Learn from `teachers`; `pupils` have measured nothing."""
    records = [one.record for one in teachers]
    records += [msgspec.structs.replace(one.record, candidates=()) for one in pupils]
    return Class(teachers=teachers, pupils=pupils, fleet=learn_fleet(records))


def policies() -> list[Terms]:
    """The ready policies, and one under which more variants compete."""
    wide = parse_policy(_WIDE, source="the benchmark's policy")
    every = (load_policy("fastest"), wide, load_policy("most-accurate"))
    return [policy.terms_for("simulated", "any", []) for policy in every]


def measure_known(pupils: int, progress: Progress) -> Finding:
    """New devices of kinds that have taught."""
    heats = []
    for world in World:
        every = list(itertools.islice(devices(world, _SEED), _TEACHERS + pupils))
        one = class_of(every[:_TEACHERS], every[_TEACHERS:])
        heats += [
            hold(world, terms, [one], progress, f"{world.value}, {terms.policy}")
            for terms in policies()
        ]
    return _finding("New devices, of kinds that have taught", heats)


def measure_unseen(pupils: int, progress: Progress) -> Finding:
    """New devices of which no other of the kind has measured anything; each kind in turn."""
    heats = []
    for world in World:
        classes = [_without(kind.name, world, pupils) for kind in device_classes()]
        heats += [
            hold(world, terms, classes, progress, f"{world.value}, {terms.policy}")
            for terms in policies()
        ]
    return _finding("New devices, of kinds that nobody has measured", heats)


def _without(kind: str, world: World, pupils: int) -> Class:
    teachers = (one for one in devices(world, _SEED) if one.kind != kind)
    own = (one for one in devices(world, _SEED) if one.kind == kind)
    return class_of(
        list(itertools.islice(teachers, _TEACHERS)), list(itertools.islice(own, pupils))
    )


def hold(
    world: World, terms: Terms, classes: Sequence[Class], progress: Progress, title: str = "playing"
) -> Heat:
    """Let all pupils of `classes` measure under one policy, each in every way."""
    is_by_latency = terms.objectives[0].metric is Metric.P95_MS
    is_found = is_fast_enough if is_by_latency else is_as_good
    total = sum(len(one.pupils) for one in classes)
    tallies: dict[str, list[tuple[bool, float]]] = {}
    held: list[bool] = []
    done = 0
    for one in classes:
        votes = Votes(one.teachers, terms)
        for number, pupil in enumerate(one.pupils):
            played = play(one.fleet, len(one.teachers) + number, pupil, terms)
            held += _held(pupil, played)
            for way, runs in _ways(votes, pupil, terms, played).items():
                share = len(runs) / len(pupil.record.candidates)
                tallies.setdefault(way, []).append((is_found(pupil, runs, terms), share))
            done += 1
            progress.update(title, done, total)
    return Heat(
        world=world,
        policy=terms.policy,
        teachers=_TEACHERS,
        devices=total,
        variants_and_threads=len(classes[0].pupils[0].record.candidates),
        scores=[_score(way, tally) for way, tally in tallies.items()],
        held=sum(held) / len(held),
        predicted=len(held),
    )


def _ways(
    votes: Votes, pupil: SimulatedDevice, terms: Terms, played: Play
) -> Mapping[str, Sequence[Candidate]]:
    """What each way measures: the rules as many as the predictor, and a third of all."""
    runs = pupil.record.candidates
    orders: dict[str, list[Candidate]] = {
        "favourites of the kind": votes.order(pupil, terms),
        "least MACs": by_macs(pupil, terms),
        "by chance": by_chance(pupil, terms),
    }
    found: dict[str, Sequence[Candidate]] = {"predictor": played.measured}
    third = int(BUDGET_SHARE * len(runs))
    for name, budget in (("as many", len(played.measured)), ("a third", third)):
        for way, order in orders.items():
            found[f"{way}, {name}"] = [*pupil.start, *order][:budget]
    return found


def _held(pupil: SimulatedDevice, played: Play) -> list[bool]:
    truth = {(one.variant, one.threads): one.p95_ms for one in pupil.record.candidates}
    held = []
    for one in played.last.predictions:
        value = truth[one.ref.variant, one.ref.threads]
        if value is not None:
            held.append(one.p95_interval_ms.low <= value <= one.p95_interval_ms.high)
    return held


def _score(way: str, tally: Sequence[tuple[bool, float]]) -> Score:
    shares = [share for _, share in tally]
    return Score(
        way=way,
        found=sum(found for found, _ in tally) / len(tally),
        measured=sum(shares) / len(tally),
        most_measured=max(shares),
    )


def _finding(title: str, heats: Sequence[Heat]) -> Finding:
    tables = [_table(f"{title}: {one.world.value}, policy '{one.policy}'", one) for one in heats]
    remarks = [
        f"{one.world.value}, '{one.policy}': {one.held:.1%} of {one.predicted:,} unmeasured p95 "
        f"within their predicted 95 % interval"
        for one in heats
    ]
    remarks.append(
        f"{heats[0].devices} devices with {heats[0].variants_and_threads} variants and thread "
        f"counts, {_TEACHERS} teachers that measured everything; found: the fastest within the "
        "limits is truly within 3 % of the best; under 'most-accurate', the policy finds its "
        "choice of all no better"
    )
    return Finding(document=Heats(heats=list(heats)), tables=tables, remarks=remarks)


def _table(title: str, heat: Heat) -> Table:
    table = measured_table(title, ("found", "measured", "at most"))
    for one in heat.scores:
        table.add_row(
            one.way, f"{one.found:.1%}", f"{one.measured:.1%}", f"{one.most_measured:.1%}"
        )
    return table
