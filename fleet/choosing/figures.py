"""The measured figures of a run that choosing looks at, packed: thousands are read at a time.

A device's runs are kept as entries beside each other: where a run is stored, then its figures.
All numbers are little-endian and 8 bytes wide; what was not measured is NaN.
"""

from __future__ import annotations

import math
import struct

from contract.benchmark import BenchRun, RunStatus
from contract.interval import Interval

#: `usable` is 1 where the run ended well and reproduced the golden vectors.
FIGURES = (
    "usable", "n", "processes", "p50_ms", "p95_ms", "ci_low_ms", "ci_high_ms", "p95_low_ms",
    "p95_high_ms", "load_ms", "first_ms", "energy_mj", "speedup", "peak_rss_bytes",
)  # fmt: skip
#: Numbers of the build and of the outbox, place in the outbox, and when it was received.
WHERE = ("build_id", "threads", "epoch_id", "seq")

_FIGURES = struct.Struct(f"<{len(FIGURES)}d")
_WHERE = struct.Struct(f"<{len(WHERE)}qd")
_PLACE = struct.Struct("<qq")
PLACE_BYTES = _PLACE.size
ENTRY_BYTES = _WHERE.size + _FIGURES.size


def pack_figures(run: BenchRun, p95_interval_ms: Interval | None) -> bytes:
    """Figures of a run, in the order of `FIGURES`."""
    golden = run.golden
    values = (
        run.status is RunStatus.OK and golden is not None and golden.ok,
        run.n,
        run.processes,
        run.p50_ms,
        run.p95_ms,
        run.ci_low_ms,
        run.ci_high_ms,
        p95_interval_ms.low if p95_interval_ms else None,
        p95_interval_ms.high if p95_interval_ms else None,
        run.load_ms,
        run.first_ms,
        run.energy_mj,
        run.speedup,
        run.peak_rss_bytes,
    )
    return _FIGURES.pack(*[math.nan if value is None else value for value in values])


def p95_interval_in(figures: bytes) -> Interval | None:
    """Interval of the 95th percentile, in ms, where it is known."""
    values = _FIGURES.unpack(figures)
    low, high = values[FIGURES.index("p95_low_ms")], values[FIGURES.index("p95_high_ms")]
    return None if math.isnan(low) else Interval(low, high)


def pack_entry(
    *, build_id: int, threads: int, epoch_id: int, seq: int, received_at: float, figures: bytes
) -> bytes:
    """One run among those of a device."""
    return _WHERE.pack(build_id, threads, epoch_id, seq, received_at) + figures


def split_entries(entries: bytes) -> list[bytes]:
    """Each run of a device."""
    starts = range(0, len(entries), ENTRY_BYTES)
    return [entries[start : start + ENTRY_BYTES] for start in starts]


def key_of(entry: bytes) -> tuple[int, int, int, int]:
    """Numbers of build, threads, outbox and place of one run."""
    build_id, threads, epoch_id, seq, _ = _WHERE.unpack_from(entry)
    return build_id, threads, epoch_id, seq


def unpack_places(places: bytes) -> list[tuple[int, int]]:
    """Outbox and place of each run, from 16 bytes each."""
    return list(_PLACE.iter_unpack(places))
