"""The section `coverage`: whether a run's interval of the median holds what other runs say."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import msgspec
from rich.table import Table

from benchmarks.lib.agent_occasion import Occasion
from benchmarks.lib.agent_sweeps import sweep
from benchmarks.lib.findings import Finding
from benchmarks.lib.tables import measured_table
from contract.benchmark import BenchRun
from contract.interval import Interval, median_interval

_SWEEPS, _QUICK_SWEEPS = 20, 3


class Coverage(msgspec.Struct, frozen=True, kw_only=True):
    """One variant over many sweeps, each a start of the agent of its own."""

    variant: str
    sweeps: int
    #: How many of the stated intervals held the median of all samples of the other sweeps.
    held: int
    #: The same for the interval of the samples alone, which takes one process for all.
    held_by_samples_alone: int
    #: Half of the stated interval, as a share of the median: the median over the sweeps.
    half_width: float
    #: Standard deviation between processes that the sweeps stated: likewise.
    repeatability: float
    p50_ms: list[float]
    ci_low_ms: list[float]
    ci_high_ms: list[float]


class Coverages(msgspec.Struct, frozen=True, kw_only=True):
    """What the section found."""

    variants: list[Coverage]


def measure_coverage(occasion: Occasion) -> Finding:
    """Sweep the set again and again as a user would, and compare each run with all others.

    Raises:
        BuilderError: a run did not go well.
    """
    runs: dict[str, list[BenchRun]] = {}
    sweeps = _QUICK_SWEEPS if occasion.quick else _SWEEPS
    for number in range(sweeps):
        for run in sweep(occasion.bundles):
            runs.setdefault(run.variant, []).append(run)
        occasion.progress.update("sweeping again and again", number + 1, sweeps)
    found = Coverages(variants=[_coverage(variant, those) for variant, those in runs.items()])
    remark = (
        "held: sweeps whose stated 95 % interval of the median has the median of all samples of "
        "the other sweeps in it; samples alone: the interval that takes one process for all"
    )
    return Finding(document=found, tables=[_table(found)], remarks=[remark])


def _coverage(variant: str, runs: Sequence[BenchRun]) -> Coverage:
    stated = [Interval(run.ci_low_ms or 0.0, run.ci_high_ms or 0.0) for run in runs]
    alone = [median_interval(run.samples_ms) for run in runs]
    others = [
        statistics.median(
            sample for other in runs if other is not run for sample in other.samples_ms
        )
        for run in runs
    ]
    widths = [
        (interval.high - interval.low) / 2 / (run.p50_ms or 1.0)
        for run, interval in zip(runs, stated, strict=True)
    ]
    return Coverage(
        variant=variant,
        sweeps=len(runs),
        held=_held(stated, others),
        held_by_samples_alone=_held(alone, others),
        half_width=statistics.median(widths),
        repeatability=statistics.median(run.repeatability or 0.0 for run in runs),
        p50_ms=[run.p50_ms or 0.0 for run in runs],
        ci_low_ms=[interval.low for interval in stated],
        ci_high_ms=[interval.high for interval in stated],
    )


def _held(intervals: Sequence[Interval | None], medians_ms: Sequence[float]) -> int:
    return sum(
        interval is not None and interval.low <= median_ms <= interval.high
        for interval, median_ms in zip(intervals, medians_ms, strict=True)
    )


def _table(found: Coverages) -> Table:
    table = measured_table(
        "Intervals of the median",
        ("p50 ms", "lowest", "highest", "stated +-", "between processes", "held", "samples alone"),
    )
    for one in found.variants:
        table.add_row(
            one.variant,
            f"{statistics.median(one.p50_ms):.3f}",
            f"{min(one.p50_ms):.3f}",
            f"{max(one.p50_ms):.3f}",
            f"{one.half_width:.1%}",
            f"{one.repeatability:.1%}",
            f"{one.held} of {one.sweeps}",
            f"{one.held_by_samples_alone} of {one.sweeps}",
        )
    return table
