"""What an inventory tells of how fast a device is, as numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from contract.messages import Inventory

Floats = NDArray[np.float64]

#: Vector instructions that decide how fast FP32 and INT8 are, as Linux names them. A
#: processor has a hundred other flags, which would drown these.
_DECISIVE_FLAGS = (
    "sse4_2",
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "amx_int8",
    "asimddp",
    "i8mm",
    "sve",
)


def trait_matrix(inventories: Sequence[Inventory | None]) -> Floats:
    """Traits of each device: float64 [devices, traits], each of mean 0 and deviation 1.

    Cores, clock and memory go by their logarithm; processor, board, governor and decisive
    vector instructions are each a column of ones and zeros. What a device does not tell
    counts as the mean of the others. A trait that all devices share is left out.
    """
    numbers = np.array([_numbers(one) for one in inventories], dtype=np.float64)
    for column in numbers.T:
        told = column[~np.isnan(column)]
        column[np.isnan(column)] = told.mean() if told.size else 0.0
    words = [_words(one) for one in inventories]
    every = sorted(set().union(*words))
    flags = np.array([[float(word in has) for word in every] for has in words], dtype=np.float64)
    both = np.hstack([numbers, flags.reshape(len(inventories), len(every))])
    spread = both.std(axis=0)
    told = spread > 0
    result: Floats = (both[:, told] - both[:, told].mean(axis=0)) / spread[told]
    return result


def _numbers(told: Inventory | None) -> list[float]:
    if told is None:
        return [math.nan] * 4
    limit = min(told.memory_limit_bytes or told.ram_bytes, told.ram_bytes)
    cores = min(told.cpu_quota_cores or told.usable_cores, told.usable_cores)
    return [
        _log(cores),
        _log(told.max_clock_mhz),
        _log(limit),
        float(len(told.core_types)),
    ]


def _log(value: float | None) -> float:
    # What cannot be, as a clock below zero, is not told.
    return math.log(value) if value is not None and value > 0 else math.nan


def _words(told: Inventory | None) -> set[str]:
    if told is None:
        return set()
    found = {
        f"arch {told.arch}",
        f"cpu {told.cpu_model}",
        f"governor {told.governor}",
        f"board {told.board.model if told.board else None}",
    }
    return found | {f"flag {flag}" for flag in told.cpu_features if flag in _DECISIVE_FLAGS}
