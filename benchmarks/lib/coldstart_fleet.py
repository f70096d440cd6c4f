"""Simulated devices with all that they would measure, and the truth behind it."""

from __future__ import annotations

import enum
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from fleet.choosing.candidate import Candidate, candidate_of
from fleet.choosing.decision import Ref, ref_of
from fleet.predicting.record import DeviceRecord
from fleet.simulating.chance import chance
from fleet.simulating.devices import DeviceLaw, draw_device
from fleet.simulating.inventories import inventory_of
from fleet.simulating.laws import Figures, true_figures
from fleet.simulating.measuring import measure
from fleet.simulating.variants import BASELINE, VariantLaw, catalogue

_VARIANTS = 24
#: So close in top-1 that the ready policy 'fastest' looks at it.
_CLOSE = 0.01
#: Deviations of the logarithm in a rugged world: what a kind of box makes of an architecture in
#: a scheme and at a size, of one variant, and what one box makes of it.
_TASTE_OF_KIND, _WHIM_OF_KIND, _WHIM_OF_BOX = 0.15, 0.08, 0.04


class World(enum.StrEnum):
    """Which truth."""

    #: The simulator's law: rooflines, caches, heat, load, odd boxes.
    ROOFLINE = "roofline"
    #: The same, times factors by chance that no inventory tells of: kernels suit some shapes on
    #: some processors, and now and then only one box.
    RUGGED = "rugged"


@dataclass(frozen=True, kw_only=True)
class SimulatedDevice:
    """A device, everything that it would measure, and what is true of that."""

    law: DeviceLaw
    #: With every run.
    record: DeviceRecord
    #: p95 latency without noise, in ms.
    true_p95_ms: dict[Ref, float]

    @property
    def kind(self) -> str:
        """Name of its class."""
        return self.law.kind.name

    @property
    def start(self) -> tuple[Candidate, ...]:
        """What any sweep of an agent measures: the baseline at each thread count."""
        return tuple(one for one in self.record.candidates if one.variant == BASELINE)


def bundle_set(seed: int) -> tuple[VariantLaw, ...]:
    """What is within a point of the baseline, and others drawn from all that can be simulated."""
    every = catalogue()
    chosen = {one.name for one in every if one.top1_drop <= _CLOSE}
    others = [one.name for one in every if one.name not in chosen]
    draw = random.Random(seed)  # noqa: S311 - simulates
    chosen.update(draw.sample(others, _VARIANTS - len(chosen)))
    return tuple(one for one in every if one.name in chosen)


def devices(world: World, seed: int) -> Iterator[SimulatedDevice]:
    """Devices of a fleet without end; the same seed gives the same ones."""
    variants = bundle_set(seed)
    index = 0
    while True:
        yield _device(world, draw_device(seed, index), variants, seed)
        index += 1


def _device(
    world: World, law: DeviceLaw, variants: tuple[VariantLaw, ...], seed: int
) -> SimulatedDevice:
    runs = []
    true = {}
    for variant in variants:
        for threads in sorted({1, law.kind.cores}):
            figures = true_figures(law, variant, threads)
            if world is World.RUGGED:
                figures = _rugged(figures, law, variant, threads)
            run = candidate_of(measure(law, variant, threads, seed, figures=figures), None)
            runs.append(run)
            true[ref_of(run)] = figures.p95_ms
    record = DeviceRecord(
        site="simulated",
        device=law.device,
        inventory=inventory_of(law, variants),
        candidates=tuple(runs),
    )
    return SimulatedDevice(law=law, record=record, true_p95_ms=true)


def _rugged(figures: Figures, law: DeviceLaw, variant: VariantLaw, threads: int) -> Figures:
    kind = law.kind.name
    shape = (variant.architecture, variant.scheme, variant.input_size)
    factor = math.exp(
        chance("taste", kind, *shape).gauss(0.0, _TASTE_OF_KIND)
        + chance("whim", kind, variant.name).gauss(0.0, _WHIM_OF_KIND)
        + chance("whim", law.device, variant.name, threads).gauss(0.0, _WHIM_OF_BOX)
    )
    return msgspec.structs.replace(
        figures, p50_ms=figures.p50_ms * factor, p95_ms=figures.p95_ms * factor
    )
