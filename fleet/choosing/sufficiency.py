"""Which of many devices' runs hold the evidence that a policy asks for: `demand`, over arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fleet.choosing.demand import SECONDS_PER_DAY, Demand, Evidential
from fleet.choosing.figure_table import AS_FLOATS, ENTRY, FigureTable, Mask


def sufficient(table: FigureTable, demands: Sequence[Demand], *, now: float) -> Mask:
    """Which runs meet every demand `now`: bool [D, V]."""
    enough = np.ones(table.shape, dtype=np.bool_)
    for demand in demands:
        enough &= _met(table, demand, now)
    return enough


@AS_FLOATS
def expired(entries: bytes, demands: Sequence[Demand], *, now: float) -> bytes:
    """One byte for each packed run, 1 where it is too old `now`; empty where no age is asked."""
    ages = [one.limit for one in demands if one.kind is Evidential.MAX_AGE_DAYS]
    if not ages:
        return b""
    received_at = np.frombuffer(entries, dtype=ENTRY)["received_at"]
    return bytes((now >= received_at + min(ages) * SECONDS_PER_DAY).tobytes())


def _met(table: FigureTable, demand: Demand, now: float) -> Mask:
    # NaN, which a run does not say, meets nothing.
    match demand.kind:
        case Evidential.MAX_AGE_DAYS:
            fresh: Mask = now < table.measured("received_at") + demand.limit * SECONDS_PER_DAY
            return fresh
        case Evidential.MAX_INTERVAL:
            median = table.measured("p50_ms")
            divisor = np.where(median == 0, np.nan, median)
            width = table.measured("ci_high_ms") - table.measured("ci_low_ms")
            narrow: Mask = width / divisor <= demand.limit
            return narrow
        case Evidential.MIN_ACCURACY_IMAGES:
            images = table.of_build(lambda build: build.accuracy_images)
            return images >= demand.limit
        case Evidential.MIN_SAMPLES:
            return table.measured("n") >= demand.limit
        case Evidential.MIN_PROCESSES:
            return table.measured("processes") >= demand.limit
