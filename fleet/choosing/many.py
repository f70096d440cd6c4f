"""Choosing for thousands of devices at once: what `decide` picks, without its words.

A fleet of 100,000 devices with 20 variants each is decided in seconds, where one device after
the other takes minutes. Each step is that of `selection.decide`, over arrays [D, V] of D devices
and V candidates; property tests hold every pick to that of `decide`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from fleet.choosing.build import Build
from fleet.choosing.decision import Status
from fleet.choosing.figure_table import AS_FLOATS, FigureTable, Floats, Mask
from fleet.choosing.figures import ENTRY_BYTES
from fleet.choosing.metric import Direction, Metric
from fleet.choosing.sufficiency import sufficient
from fleet.choosing.terms import Operator, Terms, zero_scale
from fleet.choosing.tie import MATERIAL_SHARE, shares_tie

_Scalar = TypeVar("_Scalar", bound=np.generic)
_Slots = npt.NDArray[np.intp]
#: Up to 64 candidates, no device is apart from another.
_ALIKE_BYTES = 64 * ENTRY_BYTES
#: A table of so many numbers is looked up in rather than sorted for.
_COUNTED_BELOW = 1_000_000


class Pick(msgspec.Struct, frozen=True, gc=False):
    """How the choice for one device ended; build and threads are None with NO_DATA."""

    status: Status
    build_id: int | None = None
    threads: int | None = None


@AS_FLOATS
def decide_many(
    entries: Sequence[bytes],
    incumbents: Sequence[Pick | None],
    builds: Mapping[int, Build],
    terms: Terms,
    *,
    now: float,
) -> list[Pick]:
    """Choose for each of many devices that share their terms.

    Args:
        entries: packed runs of each device (see `figures`).
        incumbents: the present choice of each, where it has one.
        builds: by number, all that entries and incumbents name.
        terms: hold for all of them.
        now: seconds since 1970, by which runs are too old where the terms ask for an age.
    """
    groups = _of_like_width([len(one) for one in entries])
    if len(groups) == 1:
        # As nearly always: a hundred thousand rows need not be taken apart and put together.
        return _Choice(FigureTable(entries, builds), terms, now).picks(incumbents, builds)
    picks: dict[int, Pick] = {}
    for rows in groups:
        table = FigureTable([entries[row] for row in rows], builds)
        own = [incumbents[row] for row in rows]
        picks |= zip(rows, _Choice(table, terms, now).picks(own, builds), strict=True)
    return [picks[row] for row in range(len(entries))]


def _of_like_width(widths: Sequence[int]) -> list[list[int]]:
    """Rows in groups whose arrays are not much wider than what they hold.

    Every row is as wide as the widest of its group: a device with a thousand variants must not
    make a thousand candidates of every other device.
    """
    groups: list[list[int]] = []
    most = -1
    for row in sorted(range(len(widths)), key=widths.__getitem__):
        if widths[row] > most:
            groups.append([])
            most = max(_ALIKE_BYTES, 2 * widths[row])
        groups[-1].append(row)
    return groups


class _Choice:
    def __init__(self, table: FigureTable, terms: Terms, now: float) -> None:
        self._table = table
        self._terms = terms
        self._usable: Mask = table.usable & sufficient(table, terms.asked, now=now)
        self._costs = {metric: _cost(table, metric) for metric in self._dimensions()}
        # What ties is told apart by memory, threads, file and name, as `selection` has it.
        self._frugality: list[npt.NDArray[np.generic]] = [
            self._costs[Metric.PEAK_RSS_MB],
            table.threads,
            table.of_build(lambda build: build.bytes),
            table.build_codes(lambda build: build.variant),
        ]
        self._ties = _ShareTies(table)

    def picks(self, incumbents: Sequence[Pick | None], builds: Mapping[int, Build]) -> list[Pick]:
        """The choice of each device."""
        table = self._table
        if table.shape[1] == 0:
            return [Pick(Status.NO_DATA)] * table.shape[0]
        feasible = self._usable & self._met()
        fits: Mask = np.any(feasible, axis=1)
        winner = self._winner(feasible)
        chosen = self._keep_present(winner, feasible, incumbents, builds)
        chosen = np.where(fits, chosen, self._nearest_miss())
        rows = np.arange(table.shape[0])
        return [
            Pick(Status.CHOSEN if fit else Status.NEAREST_MISS, build_id, threads)
            if usable
            else Pick(Status.NO_DATA)
            for fit, usable, build_id, threads in zip(
                fits.tolist(),
                np.any(self._usable, axis=1).tolist(),
                table.build_ids[rows, chosen].tolist(),
                table.threads[rows, chosen].tolist(),
                strict=True,
            )
        ]

    def _dimensions(self) -> list[Metric]:
        wanted = [objective.metric for objective in self._terms.objectives]
        return list(dict.fromkeys([*wanted, Metric.PEAK_RSS_MB]))

    def _met(self) -> Mask:
        met = np.ones(self._table.shape, dtype=np.bool_)
        for limit in self._terms.constraints:
            values = self._table.values(limit.metric)
            # NaN, which was not measured, is on neither side.
            met &= (
                values <= limit.limit
                if limit.operator is Operator.AT_MOST
                else values >= limit.limit
            )
        return met

    def _winner(self, feasible: Mask) -> _Slots:
        left = self._front(feasible)
        for objective in self._terms.objectives:
            best = _least(left, [self._costs[objective.metric], *self._frugality])
            left = left & self._tie(objective.metric, best)
        return _least(left, self._frugality)

    def _front(self, feasible: Mask) -> Mask:
        """Candidates that no feasible one is as good as all round, and better."""
        costs = list(self._costs.values())
        dominated = np.zeros(self._table.shape, dtype=np.bool_)
        for slot in range(self._table.shape[1]):
            no_worse = feasible[:, slot, None].copy()
            better = np.zeros(self._table.shape, dtype=np.bool_)
            for cost in costs:
                own = cost[:, slot, None]
                no_worse = no_worse & (own <= cost)
                better |= own < cost
            dominated |= no_worse & better
        return feasible & ~dominated

    def _tie(self, metric: Metric, other: _Slots) -> Mask:
        """Which candidates `tie.is_tie` cannot tell from the one in slot `other` of their row."""
        if metric.is_share:
            return self._ties.with_slot(metric, other)
        values = self._table.values(metric)
        rival = _at(values, other)
        unmeasured = np.isnan(values)
        if metric is Metric.SIZE_MB:
            same: Mask = values == rival
            return same
        nearest = np.minimum(np.abs(values), np.abs(rival))
        tie = np.abs(rival - values) <= MATERIAL_SHARE * nearest
        if metric in (Metric.P50_MS, Metric.P95_MS):
            low, high = self._interval(metric)
            tie |= (_at(low, other) <= high) & (low <= _at(high, other))
        unknown = np.isnan(rival)
        told: Mask = np.where(unmeasured | unknown, unmeasured & unknown, tie)
        return told

    def _interval(self, metric: Metric) -> tuple[Floats, Floats]:
        """Ends of the interval of a latency, as `tie` finds them."""
        measured = self._table.measured
        value, median = self._table.values(metric), measured("p50_ms")
        low, high = measured("ci_low_ms"), measured("ci_high_ms")
        known = ~(np.isnan(low) | np.isnan(high) | np.isnan(median)) & (median != 0)
        divisor = np.where(known, median, 1.0)
        low = np.where(known, value * np.minimum(1.0, low / divisor), value)
        high = np.where(known, value * np.maximum(1.0, high / divisor), value)
        if metric is Metric.P95_MS:
            own_low, own_high = measured("p95_low_ms"), measured("p95_high_ms")
            has_own = ~np.isnan(own_low)
            low = np.where(has_own, np.minimum(own_low, value), low)
            high = np.where(has_own, np.maximum(own_high, value), high)
        return low, high

    def _keep_present(
        self,
        winner: _Slots,
        feasible: Mask,
        incumbents: Sequence[Pick | None],
        builds: Mapping[int, Build],
    ) -> _Slots:
        """The present choice where it still fits and the winner does not beat it."""
        table = self._table
        present = self._present(incumbents, builds) & feasible
        has_present = present.any(axis=1)
        if not has_present.any():
            return winner
        slot = present.argmax(axis=1)
        undecided = np.ones(len(winner), dtype=np.bool_)
        beats = np.zeros(len(winner), dtype=np.bool_)
        rows = np.arange(table.shape[0])
        for objective in self._terms.objectives:
            tie = self._tie(objective.metric, winner)[rows, slot]
            cost = self._costs[objective.metric]
            beats |= undecided & ~tie & (cost[rows, winner] < cost[rows, slot])
            undecided &= tie
        return np.where(has_present & ~beats, slot, winner)

    def _present(self, incumbents: Sequence[Pick | None], builds: Mapping[int, Build]) -> Mask:
        """Where the present choice stands: the same file under the same name and threads."""
        table = self._table
        codes = {(build.variant, build.sha256): code for code, build in enumerate(builds.values())}
        own = table.build_places
        known = np.array(
            [codes[build.variant, build.sha256] for build in table.builds], dtype=np.int64
        )
        wanted = np.full(len(incumbents), -1, dtype=np.int64)
        threads = np.zeros(len(incumbents), dtype=np.int64)
        for row, one in enumerate(incumbents):
            if one is not None and one.build_id is not None and one.threads is not None:
                build = builds[one.build_id]
                wanted[row] = codes[build.variant, build.sha256]
                threads[row] = one.threads
        same: Mask = (
            (known[own] == wanted[:, None])
            & (table.threads == threads[:, None])
            & (table.build_ids >= 0)
        )
        return same

    def _nearest_miss(self) -> _Slots:
        excess = np.zeros(self._table.shape)
        for limit in self._terms.constraints:
            values = self._table.values(limit.metric)
            beyond = (
                values - limit.limit if limit.operator is Operator.AT_MOST else limit.limit - values
            )
            scale = abs(limit.limit) or zero_scale(limit.metric)
            share = np.maximum(0.0, beyond) / scale
            excess = excess + np.where(np.isnan(values), np.inf, share)
        wishes = [self._costs[objective.metric] for objective in self._terms.objectives]
        return _least(self._usable, [excess, *wishes, *self._frugality])


class _ShareTies:
    """Ties of accuracies, which the builds alone decide: each pair is asked for once.

    Only pairs that meet on a device are asked for: one with thousands of variants must not cost
    their square.
    """

    def __init__(self, table: FigureTable) -> None:
        self._table = table
        self._known: dict[Metric, dict[int, bool]] = {}

    def with_slot(self, metric: Metric, other: _Slots) -> Mask:
        builds, own = self._table.builds, self._table.build_places
        known = self._known.setdefault(metric, {})
        pairs = _at(own, other) * len(builds) + own
        asked, places = _distinct(pairs, below=len(builds) ** 2)
        for pair in asked:
            if pair not in known:
                one, rival = divmod(pair, len(builds))
                known[pair] = shares_tie(metric, builds[one], builds[rival])
        ties: Mask = np.array([known[pair] for pair in asked], dtype=np.bool_)[places]
        return ties


def _distinct(
    numbers: npt.NDArray[np.int64], *, below: int
) -> tuple[list[int], npt.NDArray[np.int64]]:
    """Each number that occurs, and for each place of `numbers` where its number stands in that."""
    if below <= _COUNTED_BELOW:
        # Several times as fast as sorting.
        places = np.zeros(below, dtype=np.int64)
        places[numbers.ravel()] = 1
        found = np.flatnonzero(places)
        places[found] = np.arange(len(found))
        return found.tolist(), places[numbers]
    found, inverse = np.unique(numbers, return_inverse=True)
    return found.tolist(), inverse.reshape(numbers.shape)


def _cost(table: FigureTable, metric: Metric) -> Floats:
    """Values as something to keep small; infinite where it was not measured."""
    values = table.values(metric)
    signed = -values if metric.better is Direction.MAX else values
    return np.where(np.isnan(values), np.inf, signed)


def _least(mask: Mask, keys: Sequence[npt.NDArray[np.generic]]) -> _Slots:
    """Slot of the least of each row by the first key, then the next; 0 where none is left."""
    left = mask
    for key in keys:
        worst = np.inf if key.dtype.kind == "f" else np.iinfo(np.int64).max
        least = np.where(left, key, worst).min(axis=1, keepdims=True)
        left = left & (key == least)
    slots: _Slots = left.argmax(axis=1)
    return slots


def _at(values: npt.NDArray[_Scalar], slots: _Slots) -> npt.NDArray[_Scalar]:
    """Value in one slot of each row, as a column."""
    found: npt.NDArray[_Scalar] = np.take_along_axis(values, slots[:, None], axis=1)
    return found
