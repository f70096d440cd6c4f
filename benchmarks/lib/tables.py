"""A report as tables for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich import box
from rich.table import Table

from benchmarks.lib.processor import Processor
from benchmarks.lib.report import Report, Section, TopOne
from benchmarks.lib.rounds import Ratio

_MEGABYTE = 1_000_000


def heading(report: Report) -> Iterator[str]:
    """Lines that say what the figures were measured on."""
    yield from conditions(report.processor, report.versions)
    for framework, reason in report.left_out.items():
        yield f"left out: {framework} ({reason})"


def conditions(processor: Processor, versions: Mapping[str, str]) -> Iterator[str]:
    """Lines about the processor and what ran on it."""
    core = "not held to one core" if processor.core is None else f"core {processor.core}"
    yield f"{processor.model}, {processor.logical_cores} cores; {core}, one thread"
    yield f"instructions: {', '.join(processor.extensions) or 'none that matter here'}" + (
        "" if processor.has_int8_dot_products else "; no INT8 dot products: expect less of INT8"
    )
    yield ", ".join(f"{name} {version}" for name, version in versions.items())
    yield from processor.notes


def remarks(section: Section) -> Iterator[str]:
    """Lines that belong below a section's tables."""
    yield (
        f"weights {section.weights}; calibrated on {section.calibration_images} images of "
        f"{section.data}"
    )
    yield from disturbance(section.foreign_share)
    for problem in section.missed:
        yield f"not built: {problem}"


def disturbance(foreign_share: float | None) -> Iterator[str]:
    """Line on how busy the core was with other work, where that is known."""
    if foreign_share is not None:
        yield f"other processes took {foreign_share:.1%} of the core during the timing"


def speed_table(section: Section) -> Table:
    """One row a contender: what it weighs, how long it takes, how long it took to make."""
    table = measured_table(
        f"{section.network} at {section.input_size} px: p50 at one thread, 95 % interval",
        ("px", "MMACs", "MB", "build s", "p50 ms", "interval", "logit error"),
    )
    for one in section.contenders:
        table.add_row(
            one.contender,
            str(one.input_size),
            f"{one.macs / 1e6:,.0f}",
            f"{one.bytes / _MEGABYTE:.1f}",
            "" if one.build_s is None else f"{one.build_s:.1f}",
            f"{one.latency.p50_ms:.2f}",
            _interval(one.latency.low_ms, one.latency.high_ms),
            "" if one.logit_error is None else f"{one.logit_error:.1e}",
        )
    return table


def ratio_table(section: Section) -> Table:
    """One row a contender: how many times faster than each reference."""
    references = list(dict.fromkeys(ratio.reference for ratio in section.ratios))
    table = measured_table(
        f"{section.network} at {section.input_size} px: times faster than",
        tuple(references),
    )
    found = {(ratio.contender, ratio.reference): ratio for ratio in section.ratios}
    for one in section.contenders:
        cells = (found.get((one.contender, reference)) for reference in references)
        table.add_row(one.contender, *(_times(ratio) for ratio in cells))
    return table


def accuracy_table(section: Section) -> Table:
    """One row a contender: top-1, and its gap to the base on the same images, in points."""
    table = measured_table(
        f"{section.network} at {section.input_size} px on {section.data}: top-1, 95 % interval",
        ("top-1", "interval", "gap to base", "paired interval", "same answer", "images"),
    )
    for one in section.contenders:
        if one.accuracy is not None:
            table.add_row(one.contender, *_accuracy_cells(one.accuracy))
    return table


def tables(section: Section) -> Iterator[Table]:
    """All tables of a section."""
    if any(one.accuracy is not None for one in section.contenders):
        yield accuracy_table(section)
    yield speed_table(section)
    yield ratio_table(section)


def measured_table(title: str, columns: tuple[str, ...]) -> Table:
    """An empty table whose first column names the rows and whose others hold figures."""
    # As wide as its title, which would be broken otherwise.
    table = Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        min_width=len(title),
    )
    table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _accuracy_cells(accuracy: TopOne) -> list[str]:
    gap, paired = accuracy.gap_to_base, accuracy.gap_interval
    return [
        f"{accuracy.top1:.2%}",
        f"{accuracy.interval.low:.1%} - {accuracy.interval.high:.1%}",
        "" if gap is None else f"{gap * 100:+.2f}",
        "" if paired is None else f"{paired.low * 100:+.2f} to {paired.high * 100:+.2f}",
        f"{accuracy.agreement_with_base:.1%}",
        str(accuracy.images),
    ]


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.2f} - {high:.2f}"


def _times(ratio: Ratio | None) -> str:
    if ratio is None:
        return ""
    interval = _interval(ratio.low, ratio.high)
    return f"{ratio.times_faster:.2f}" + (f" ({interval})" if interval else "")
