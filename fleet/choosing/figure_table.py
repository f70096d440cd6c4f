"""Figures of many devices side by side: one row a device, one column a candidate."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fleet.choosing.build import Build
from fleet.choosing.figures import FIGURES, PLACE_BYTES, WHERE
from fleet.choosing.metric import BYTES_PER_MB, Metric

_Scalar = TypeVar("_Scalar", bound=np.generic)

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

#: Decorates what computes with any figure that a device may send: what is beyond a double is
#: infinite, and the difference of two such is NaN, on no side of any limit. So it is with Python's
#: own floats, by which one device alone is decided on.
AS_FLOATS = np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore")

#: How an entry of `figures` reads as an array.
ENTRY = np.dtype(
    [
        *((name, "<i8") for name in WHERE),
        ("received_at", "<f8"),
        *((name, "<f8") for name in FIGURES),
    ]
)

#: Metrics that are the same wherever a build runs.
_OF_BUILD: Mapping[Metric, Callable[[Build], float | None]] = {
    Metric.TOP1: lambda build: build.top1,
    Metric.TOP3: lambda build: build.top3,
    Metric.TOP1_DROP: lambda build: build.top1_drop,
    Metric.SIZE_MB: lambda build: build.bytes / BYTES_PER_MB,
}


def builds_named(entries: Iterable[bytes]) -> set[int]:
    """Numbers of all builds in the packed runs of devices."""
    flat = np.frombuffer(b"".join(entries), dtype=ENTRY)
    return set(np.unique(flat["build_id"]).tolist())


def places_of_each(entries: Sequence[bytes]) -> list[bytes]:
    """Outbox and place of each run of each device, packed: see `figures.unpack_places`."""
    flat = np.frombuffer(b"".join(entries), dtype=ENTRY)
    packed = np.column_stack([flat["epoch_id"], flat["seq"]]).tobytes()
    ends = np.cumsum([len(one) // ENTRY.itemsize * PLACE_BYTES for one in entries]).tolist()
    return [packed[start:end] for start, end in zip([0, *ends], ends, strict=False)]


class FigureTable:
    """Figures of the candidates of D devices, of which the most has V: arrays [D, V].

    Args:
        entries: packed runs of each device.
        builds: by number, at least those that the entries name.
    """

    def __init__(self, entries: Sequence[bytes], builds: Mapping[int, Build]) -> None:
        flat = np.frombuffer(b"".join(entries), dtype=ENTRY)
        counts = np.array([len(one) // ENTRY.itemsize for one in entries], dtype=np.intp)
        self._flat = flat
        self.shape = len(entries), int(counts.max(initial=0))
        #: Row and column of each candidate; None where every device has as many, as in most fleets.
        self._at: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]] | None = None
        if len(flat) != self.shape[0] * self.shape[1]:
            rows = np.repeat(np.arange(len(entries)), counts)
            columns = np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)
            self._at = rows, columns
        numbers, which = np.unique(flat["build_id"], return_inverse=True)
        #: Builds that occur here, and for each candidate its place among them.
        self.builds = [builds[number] for number in numbers.tolist()]
        self._which = which
        self.build_ids = self._spread(flat["build_id"], -1)
        self.build_places = self._spread(which, 0)
        self.threads = self._spread(flat["threads"], 0)
        self._measured: dict[str, Floats] = {}
        self._metrics: dict[Metric, Floats] = {}
        self.usable = self._usable()

    def measured(self, name: str) -> Floats:
        """One of `FIGURES`, or `received_at`, of each candidate; NaN where it was not measured."""
        if name not in self._measured:
            self._measured[name] = self._spread(self._flat[name], np.nan)
        return self._measured[name]

    def of_build(self, value: Callable[[Build], float | None]) -> Floats:
        """What is the same for each build; NaN for None."""
        known = np.array([value(build) for build in self.builds], dtype=np.float64)
        return self._spread(known[self._which], np.nan)

    def values(self, metric: Metric) -> Floats:
        """Values of a metric; NaN where it was not measured."""
        if metric not in self._metrics:
            if metric in _OF_BUILD:
                found = self.of_build(_OF_BUILD[metric])
            elif metric is Metric.PEAK_RSS_MB:
                found = self.measured("peak_rss_bytes") / BYTES_PER_MB
            else:
                found = self.measured(metric.value)
            self._metrics[metric] = found
        return self._metrics[metric]

    def build_codes(self, code: Callable[[Build], object]) -> Whole:
        """Rank of each candidate by what `code` says of its build; equal where that is equal."""
        told = [code(build) for build in self.builds]
        ranks = {one: rank for rank, one in enumerate(sorted(set(told)))}  # type: ignore[type-var]
        known = np.array([ranks[one] for one in told], dtype=np.int64)
        return self._spread(known[self._which], -1)

    def _usable(self) -> Mask:
        needed = ("p50_ms", "p95_ms", "peak_rss_bytes")
        usable = self._flat["usable"] == 1
        for name in needed:
            usable &= ~np.isnan(self._flat[name])
        return self._spread(usable, 0)

    def _spread(self, flat: npt.NDArray[_Scalar], fill: float) -> npt.NDArray[_Scalar]:
        if self._at is None:
            return np.ascontiguousarray(flat).reshape(self.shape)
        table = np.full(self.shape, fill, dtype=flat.dtype)
        table[self._at] = flat
        return table
