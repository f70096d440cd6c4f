"""What a search has found, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich import box

from builder.search.candidate import Space
from builder.search.findings import Findings
from builder.search.trial import Measurement, Trial
from edgewright.console import Table

_MEGABYTE = 1_000_000


def trial_table(space: Space, trials: Sequence[Trial], findings: Findings) -> Table:
    """One row a trial: those that were measured by rising time, then those that failed."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("variant", no_wrap=True, overflow="fold")
    for column in ("p50 ms", "speed-up", "top-1", "drop", "MACs", "size MB"):
        table.add_column(column, justify="right")
    table.add_column("")
    base = findings.baseline.measurement if findings.baseline else None
    measured = [(trial, trial.measurement) for trial in trials if trial.measurement]
    for trial, measurement in sorted(measured, key=lambda pair: pair[1].p50_ms):
        mark = "best within the bar" if trial == findings.best else ""
        if not mark and trial in findings.front:
            mark = "on the front"
        table.add_row(space.name(trial.candidate), *_figures(measurement, base), mark)
    for trial in findings.failed:
        table.add_row(space.name(trial.candidate), *[""] * 6, f"{trial.status}: {trial.reason}")
    return table


def search_verdict(space: Space, findings: Findings, max_top1_drop: float) -> str:
    """The winner in a sentence, or why there is none."""
    base = findings.baseline.measurement if findings.baseline else None
    best = findings.best
    if not findings.tried:
        return "no trial has ended yet"
    # The baseline itself is within any bar.
    if base is None or best is None or best.measurement is None:
        return "the baseline could not be measured, so that nobody knows what the others lose"
    found = best.measurement
    return (
        f"fastest of {findings.tried} with at most {_points(max_top1_drop)} of top-1 lost: "
        f"{space.name(best.candidate)}: "
        f"{found.p50_ms:.3g} ms, {base.p50_ms / found.p50_ms:.3g}x the baseline's speed, "
        f"{(base.top1 - found.top1) * 100:+.2f} points lost"
    )


def search_document(space: Space, trials: Sequence[Trial], findings: Findings) -> dict[str, object]:
    """The same as one JSON document."""

    def name(trial: Trial | None) -> str | None:
        return None if trial is None else space.name(trial.candidate)

    return {
        "best": name(findings.best),
        "nearest": name(findings.nearest),
        "baseline": name(findings.baseline),
        "front": [name(trial) for trial in findings.front],
        "trials": [{"variant": name(trial), **msgspec.to_builtins(trial)} for trial in trials],
    }


def _points(share: float) -> str:
    text = f"{share * 100:g}"
    return f"{text} point{'' if text == '1' else 's'}"


def _figures(measurement: Measurement, base: Measurement | None) -> list[str]:
    return [
        f"{measurement.p50_ms:.3g}",
        "" if base is None else f"{base.p50_ms / measurement.p50_ms:.2f}x",
        f"{measurement.top1:.2%}",
        "" if base is None else f"{(base.top1 - measurement.top1) * 100:+.2f}",
        f"{measurement.macs / 1e6:,.0f} M",
        f"{measurement.bytes / _MEGABYTE:.1f}",
    ]
