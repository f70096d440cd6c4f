"""The section `zero`: a whole fleet that starts with nothing, device by device."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import msgspec

from benchmarks.lib.coldstart_contest import policies
from benchmarks.lib.coldstart_fleet import SimulatedDevice, World, devices
from benchmarks.lib.coldstart_play import is_fast_enough, play
from benchmarks.lib.findings import Finding
from benchmarks.lib.tables import measured_table
from builder.progress import Progress
from fleet.choosing.terms import Terms
from fleet.predicting.fleet_model import FEWEST_TEACHERS, FleetModel, learn_fleet

_SEED = 2
#: Devices of a kind that measure everything before the others of it need not.
_PIONEERS_OF_A_KIND = 2


class FromZero(msgspec.Struct, frozen=True, kw_only=True):
    """One fleet; shares are 0 to 1."""

    world: World
    policy: str
    devices: int
    #: Devices that measured everything.
    pioneers: int
    #: Of all that all devices could measure, pioneers included.
    measured: float
    #: Of the devices, pioneers included.
    found: float


class FleetsFromZero(msgspec.Struct, frozen=True, kw_only=True):
    """The section."""

    fleets: list[FromZero]


def measure_zero(count: int, progress: Progress) -> Finding:
    """Fleets of `count` devices that come one after the other."""
    terms = policies()[1]
    fleets = [_from_zero(world, terms, count, progress) for world in World]
    table = measured_table(
        f"A fleet from zero, policy '{terms.policy}'",
        ("devices", "measure all", "of all runs", "found"),
    )
    for one in fleets:
        table.add_row(
            one.world.value,
            str(one.devices),
            str(one.pioneers),
            f"{one.measured:.1%}",
            f"{one.found:.1%}",
        )
    remark = (
        f"the first {FEWEST_TEACHERS} devices and the first {_PIONEERS_OF_A_KIND} of each "
        "processor measure everything; the others what the predictor says, at most a third"
    )
    return Finding(document=FleetsFromZero(fleets=fleets), tables=[table], remarks=[remark])


def _from_zero(world: World, terms: Terms, count: int, progress: Progress) -> FromZero:
    every = list(itertools.islice(devices(world, _SEED), count))
    taught: list[SimulatedDevice] = []
    kinds: Counter[str] = Counter()
    fleet: FleetModel | None = None
    measured, found = 0, 0
    for number, one in enumerate(every):
        progress.update(f"from zero, {world.value}", number + 1, count)
        if len(taught) < FEWEST_TEACHERS or kinds[one.kind] < _PIONEERS_OF_A_KIND:
            taught.append(one)
            kinds[one.kind] += 1
            fleet = None
            measured += len(one.record.candidates)
            found += 1
            continue
        if fleet is None:
            fleet = _learn(taught, every)
        row = next(
            row for row, record in enumerate(fleet.records) if record.device == one.record.device
        )
        runs = play(fleet, row, one, terms).measured
        measured += len(runs)
        found += is_fast_enough(one, runs, terms)
    return FromZero(
        world=world,
        policy=terms.policy,
        devices=count,
        pioneers=len(taught),
        measured=measured / sum(len(one.record.candidates) for one in every),
        found=found / count,
    )


def _learn(taught: Sequence[SimulatedDevice], every: Sequence[SimulatedDevice]) -> FleetModel:
    have = {one.record.device for one in taught}
    records = [
        one.record
        if one.record.device in have
        else msgspec.structs.replace(one.record, candidates=())
        for one in every
    ]
    return learn_fleet(records)
