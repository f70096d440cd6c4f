"""Simulated devices as the predictor sees them."""

from __future__ import annotations

from functools import cache

import msgspec

from contract.benchmark import BenchRun
from contract.messages import Inventory
from fleet.choosing.candidate import candidate_of
from fleet.predicting.record import DeviceRecord
from fleet.simulating.devices import draw_device
from fleet.simulating.inventories import inventory_of
from fleet.simulating.measuring import measure
from fleet.simulating.variants import BASELINE, catalogue, set_id_of

_SEED = 3


@cache
def simulated_runs(index: int, variants: int = 12) -> tuple[Inventory, tuple[BenchRun, ...]]:
    """Inventory of a device by its number, and a run of each variant and thread count."""
    every = catalogue()
    chosen = tuple(one for one in every if one.name == BASELINE) + every[:: len(every) // variants]
    law = draw_device(_SEED, index)
    runs = tuple(
        measure(law, variant, threads, _SEED, set_id=set_id_of(chosen))
        for variant in chosen
        for threads in sorted({1, law.kind.cores})
    )
    return inventory_of(law, chosen), runs


def simulated_record(index: int, share: float = 1.0) -> DeviceRecord:
    """A device that has measured the first `share` of what it can."""
    inventory, runs = simulated_runs(index)
    return DeviceRecord(
        site=inventory.site,
        device=inventory.device,
        inventory=inventory,
        candidates=tuple(candidate_of(one, None) for one in runs[: round(share * len(runs))]),
    )


def without_runs(record: DeviceRecord) -> DeviceRecord:
    """The same device before it has measured anything."""
    return msgspec.structs.replace(record, candidates=())
