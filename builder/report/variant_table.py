"""The table of all variants: its columns, for the page and for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass

from builder.report.document import Report
from builder.report.entry import Entry
from builder.report.verdicts import Judgement
from builder.report.wording import (
    amount,
    percent,
    scheme_words,
    signed_points,
    significant,
    times,
)
from edgewright.spreadsheet import spreadsheet_text

_MB = 1e6
_NOTHING = "\N{EN DASH}"

Value = str | float | int | None


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One cell: what is read, what stands smaller beneath, and what is sorted by."""

    text: str
    detail: str = ""
    value: Value
    is_number: bool


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the page's table."""

    title: str
    help: str
    is_number: bool
    cell: Callable[[Entry, Judgement], Cell]


def columns(report: Report) -> list[Column]:
    """Columns that say something about this set, the variant first and the verdict last."""
    is_timed = report.host is not None
    entries = report.entries
    chosen = [_VARIANT, _TOP1, _GAP, _TOP3]
    if is_timed:
        chosen += [_LATENCY, _SPEEDUP, _TIME_SAVED]
    chosen += [_MACS, _MACS_SAVED, _SIZE, _PARAMETERS]
    if any(entry.int8_mac_share for entry in entries):
        chosen += [_INT8]
    return [*chosen, _VERDICT]


def as_csv(report: Report) -> str:
    """Return the table for spreadsheets: units in the columns' names, shares as 0..1."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_FIELDS)
    for entry, judgement in zip(report.entries, report.judgements, strict=True):
        writer.writerow([_spelt(read(entry, judgement)) for read in _FIELDS.values()])
    return out.getvalue()


def _spelt(value: Value) -> Value:
    return spreadsheet_text(value) if isinstance(value, str) else value


def _number(
    value: float | None, write: Callable[[float], str], detail: str = "", *, mark: str = _NOTHING
) -> Cell:
    text = mark if value is None else write(value)
    return Cell(
        text=text,
        detail=detail,
        value="" if value is None else f"{value:.6g}",
        is_number=True,
    )


def _range(low: float | None, high: float | None, write: Callable[[float], str]) -> str:
    return "" if low is None or high is None else f"{write(low)} to {write(high)}"


def _plain_percent(share: float) -> str:
    return f"{share * 100:.1f}"


def _made_words(entry: Entry) -> str:
    """What was done to the network, in short."""
    words = [scheme_words(entry.scheme)]
    if entry.engine is not None:
        words[0] += f" ({entry.engine})"
    kept = len(entry.float_layers)
    if kept:
        words.append(f"{kept} layer{'' if kept == 1 else 's'} in floats")
    if entry.tuning != "none":
        words.append(f"tuned {entry.tuning}")
    return ", ".join(words)


def _gap_cell(entry: Entry, _: Judgement) -> Cell:
    gap = entry.gap
    if gap is None or entry.is_baseline:
        return _number(None, signed_points, mark="base" if entry.is_baseline else _NOTHING)
    return _number(gap.difference, signed_points, _range(gap.low, gap.high, signed_points))


_VARIANT = Column(
    title="variant",
    help="Its name, its numbers, and its training after pruning or shrinking",
    is_number=False,
    cell=lambda e, _: Cell(text=e.variant, detail=_made_words(e), value=e.variant, is_number=False),
)
_TOP1 = Column(
    title="top-1 %",
    help="Share of images whose first answer is right, with its 95 % interval",
    is_number=True,
    cell=lambda e, _: _number(
        e.top1, _plain_percent, _range(e.top1_low, e.top1_high, _plain_percent)
    ),
)
_GAP = Column(
    title="against base",
    help="Percentage points against the set's baseline, with their 95 % interval",
    is_number=True,
    cell=_gap_cell,
)
_TOP3 = Column(
    title="top-3 %",
    help="Share of images whose first three answers hold the right one",
    is_number=True,
    cell=lambda e, _: _number(e.top3, _plain_percent),
)
_LATENCY = Column(
    title="p50 ms",
    help="Median latency of one image on one core, with the median's 95 % interval",
    is_number=True,
    cell=lambda e, _: _number(
        e.p50_ms, significant, _range(e.p50_low_ms, e.p50_high_ms, significant), mark="failed"
    ),
)
_SPEEDUP = Column(
    title="speed-up",
    help="Latency of the set's baseline as a multiple of this one's",
    is_number=True,
    cell=lambda e, _: _number(
        e.speedup,
        times,
        "" if e.is_baseline else _range(e.speedup_low, e.speedup_high, significant),
    ),
)
_TIME_SAVED = Column(
    title="time saved",
    help="Milliseconds against the unchanged network of the same architecture",
    is_number=True,
    cell=lambda e, _: _number(
        e.ms_saved,
        lambda ms: f"{significant(ms)} ms",
        "" if e.time_saved_share is None else percent(e.time_saved_share),
    ),
)
_MACS = Column(
    title="MACs",
    help="Multiply-accumulates of one image",
    is_number=True,
    cell=lambda e, _: _number(e.macs, amount),
)
_MACS_SAVED = Column(
    title="MACs saved",
    help="Against the unchanged network of the same architecture",
    is_number=True,
    cell=lambda e, _: _number(
        e.macs_saved,
        amount,
        "" if e.macs_saved_share is None else percent(e.macs_saved_share),
    ),
)
_SIZE = Column(
    title="MB",
    help="Size of the bundle's file",
    is_number=True,
    cell=lambda e, _: _number(e.bytes / _MB, significant),
)
_PARAMETERS = Column(
    title="parameters",
    help="Weights and biases",
    is_number=True,
    cell=lambda e, _: _number(e.parameters, amount),
)
_INT8 = Column(
    title="in INT8",
    help="Share of the MACs in integers",
    is_number=True,
    cell=lambda e, _: _number(e.int8_mac_share, lambda s: percent(s, 0)),
)
_VERDICT = Column(
    title="verdict",
    help="What it is worth among the others",
    is_number=False,
    cell=lambda _, j: Cell(text=j.words, value=j.verdict, is_number=False),
)

_FIELDS: dict[str, Callable[[Entry, Judgement], Value]] = {
    "variant": lambda e, _: e.variant,
    "architecture": lambda e, _: e.architecture,
    "own_base": lambda e, _: e.own_base,
    "scheme": lambda e, _: e.scheme,
    "engine": lambda e, _: e.engine,
    "int8_mac_share": lambda e, _: e.int8_mac_share,
    "float_layers": lambda e, _: " ".join(e.float_layers),
    "input_px": lambda e, _: e.input_size,
    "pruned_share": lambda e, _: e.pruned_share,
    "tuning": lambda e, _: e.tuning,
    "top1_share": lambda e, _: e.top1,
    "top1_low_share": lambda e, _: e.top1_low,
    "top1_high_share": lambda e, _: e.top1_high,
    "top3_share": lambda e, _: e.top3,
    "top1_gap_share": lambda e, _: None if e.gap is None else e.gap.difference,
    "top1_gap_low_share": lambda e, _: None if e.gap is None else e.gap.low,
    "top1_gap_high_share": lambda e, _: None if e.gap is None else e.gap.high,
    "p50_ms": lambda e, _: e.p50_ms,
    "p50_low_ms": lambda e, _: e.p50_low_ms,
    "p50_high_ms": lambda e, _: e.p50_high_ms,
    "speedup_ratio": lambda e, _: e.speedup,
    "speedup_low_ratio": lambda e, _: e.speedup_low,
    "speedup_high_ratio": lambda e, _: e.speedup_high,
    "own_speedup_ratio": lambda e, _: e.own_speedup,
    "saved_ms": lambda e, _: e.ms_saved,
    "preparation": lambda e, _: e.preparation,
    "macs": lambda e, _: e.macs,
    "saved_macs": lambda e, _: e.macs_saved,
    "saved_macs_share": lambda e, _: e.macs_saved_share,
    "parameters": lambda e, _: e.parameters,
    "file_bytes": lambda e, _: e.bytes,
    "verdict": lambda _, j: j.verdict,
    "beaten_by": lambda _, j: j.beaten_by,
    "verdict_words": lambda _, j: j.words,
}
