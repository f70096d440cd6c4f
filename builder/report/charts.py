"""The charts of a report: what accuracy costs, what saved work is worth, and what depth brings."""

from __future__ import annotations

from collections.abc import Sequence

from builder.report.depth import Ladder
from builder.report.document import Report
from builder.report.entry import Entry
from builder.report.scales import Places, linear_around, log_around
from builder.report.scatter import Axis, Mark, Scatter
from builder.report.verdicts import Cost, Verdict, cost_of
from builder.report.wording import (
    amount,
    percent,
    scheme_words,
    short_percent,
    significant,
    tick_amount,
    tick_words,
)
from contract.manifest import AccuracyKind

_WIDE = (1196.0, 480.0)
_HALF = (584.0, 390.0)
_MB = 1e6
#: Colours of the style sheet.
_SERIES = 8
_NOTABLE_SHARE = 0.03
#: Twice the time; beyond it differences of what pays would no longer be seen.
SLOWEST_SHOWN = -1.0
#: Width of the band in which a network's variants stand beside each other.
_BAND = 0.5


def series_of(report: Report) -> dict[str, int]:
    """Number of the colour of each architecture, in the set's order."""
    names = dict.fromkeys(entry.architecture for entry in report.entries)
    return {name: number % _SERIES for number, name in enumerate(names)}


def accuracy_chart(report: Report, cost: Cost) -> str:
    """Top-1 against a cost, with the front as a line: nothing stands above it."""
    reader = cost_of(cost)
    entries = [e for e in report.entries if cost is not Cost.LATENCY or e.p50_ms is not None]
    front = [_named(report.entries, variant) for variant in report.fronts[cost]]
    x = _cost_axis(cost, entries)
    y = _accuracy_axis(report, entries)
    marks = [
        Mark(
            variant=entry.variant,
            x=scale_value(cost, entry),
            y=entry.top1,
            x_ends=_latency_ends(entry) if cost is Cost.LATENCY else None,
            y_ends=(entry.top1_low, entry.top1_high),
            series=series_of(report)[entry.architecture],
            shape=entry.scheme,
            tooltip=tooltip(entry, report),
            is_labelled=entry in front or entry.variant == entry.own_base,
            is_bright=entry in front,
        )
        for entry in sorted(entries, key=lambda entry: (entry not in front, reader(entry)))
    ]
    width, height = _WIDE if cost is report.cost else _HALF
    return Scatter(
        title=f"{y.title} against {x.title}",
        width=width,
        height=height,
        x=x,
        y=y,
        marks=marks,
        line=_staircase(
            [(scale_value(cost, entry), entry.top1) for entry in front],
            floor=y.scale.low,
            far=x.scale.high,
        ),
    ).draw()


def savings_chart(report: Report) -> str | None:
    """Time saved against MACs saved; None where there is nothing to show.

    What takes more than twice as long stands at `SLOWEST_SHOWN`.
    """
    made = [
        entry
        for entry in report.entries
        if entry.variant != entry.own_base
        and entry.time_saved_share is not None
        and entry.macs_saved_share is not None
    ]
    if not made:
        return None
    saved_macs = [entry.macs_saved_share or 0.0 for entry in made]
    saved_time = [max(entry.time_saved_share or 0.0, SLOWEST_SHOWN) for entry in made]
    x = linear_around([0.0, 0.1, *saved_macs], ceiling=1.0)
    y = linear_around([0.0, 0.1, *saved_time], ceiling=1.0)
    verdicts = {judgement.variant: judgement.verdict for judgement in report.judgements}

    def is_called_out(entry: Entry) -> bool:
        disappoints = verdicts[entry.variant] in {Verdict.NO_GAIN, Verdict.SLOWER}
        return disappoints and (entry.macs_saved_share or 0.0) >= _NOTABLE_SHARE

    pays = max(made, key=lambda entry: entry.time_saved_share or 0.0)
    marks = [
        Mark(
            variant=entry.variant,
            x=entry.macs_saved_share or 0.0,
            y=max(entry.time_saved_share or 0.0, SLOWEST_SHOWN),
            y_ends=_saving_ends(entry),
            series=series_of(report)[entry.architecture],
            shape=entry.scheme,
            tooltip=tooltip(entry, report),
            is_labelled=is_called_out(entry) or entry is pays,
            is_called_out=is_called_out(entry),
        )
        for entry in made
    ]
    low, high = max(x.low, y.low), min(x.high, y.high)
    return Scatter(
        title="time saved against MACs saved",
        width=_WIDE[0],
        height=_HALF[1],
        x=Axis(scale=x, title="MACs saved against its own base", write=_whole_percent),
        y=Axis(scale=y, title="time saved against its own base", write=_whole_percent),
        marks=marks,
        line=((low, low), (high, high)),
        line_class="even",
    ).draw()


def depth_chart(report: Report, ladder: Ladder) -> str:
    """Top-1 of a family's networks by depth, their variants beside them."""
    places = Places(len(ladder.rungs))
    names = [rung.architecture for rung in ladder.rungs]
    entries = [entry for entry in report.entries if entry.architecture in names]
    marks = []
    for place, rung in enumerate(ladder.rungs):
        own = [entry for entry in entries if entry.architecture == rung.architecture]
        own.sort(key=lambda entry: (entry.variant != rung.variant, entry.variant))
        for number, entry in enumerate(own):
            is_base = entry.variant == rung.variant
            marks.append(
                Mark(
                    variant=entry.variant,
                    # The base stands on its tick, the others to the right of it.
                    x=place if is_base else place + 0.1 + _BAND * number / (2 * len(own)),
                    y=entry.top1,
                    y_ends=(entry.top1_low, entry.top1_high) if is_base else None,
                    series=series_of(report)[entry.architecture],
                    shape=entry.scheme,
                    tooltip=tooltip(entry, report),
                    is_labelled=entry.variant == rung.best_variant and not is_base,
                    is_bright=is_base,
                )
            )
    return Scatter(
        title=f"top-1 of the {ladder.family} family by depth",
        width=_HALF[0],
        height=_HALF[1],
        x=Axis(
            scale=places,
            title="deeper \N{RIGHTWARDS ARROW}",
            write=lambda place: names[round(place)],
        ),
        y=_accuracy_axis(report, entries),
        marks=marks,
        line=[(place, rung.top1) for place, rung in enumerate(ladder.rungs)],
        line_class="depth",
    ).draw()


def tooltip(entry: Entry, report: Report) -> str:
    """What stands beside the pointer over a mark."""
    words = {judgement.variant: judgement.words for judgement in report.judgements}
    latency = "" if entry.p50_ms is None else f", {significant(entry.p50_ms)} ms"
    return (
        f"{entry.variant} ({scheme_words(entry.scheme)}): top-1 {percent(entry.top1)} "
        f"({percent(entry.top1_low)} to {percent(entry.top1_high)}){latency}, "
        f"{significant(entry.bytes / _MB)} MB, {amount(entry.macs)} MACs. {words[entry.variant]}"
    )


def scale_value(cost: Cost, entry: Entry) -> float:
    """A cost in the unit of its axis."""
    value = cost_of(cost)(entry)
    return value / _MB if cost is Cost.SIZE else value


def _cost_axis(cost: Cost, entries: Sequence[Entry]) -> Axis:
    scale = log_around([scale_value(cost, entry) for entry in entries])
    if cost is Cost.LATENCY:
        return Axis(scale=scale, title="median latency of one image, ms", write=tick_words)
    if cost is Cost.SIZE:
        return Axis(scale=scale, title="file, MB", write=tick_words)
    return Axis(scale=scale, title="multiply-accumulates of one image", write=tick_amount)


def _accuracy_axis(report: Report, entries: Sequence[Entry]) -> Axis:
    ends = [end for entry in entries for end in (entry.top1_low, entry.top1_high)]
    is_agreement = report.accuracy_kind is AccuracyKind.AGREEMENT
    return Axis(
        scale=linear_around(ends, floor=0.0, ceiling=1.0),
        title="agreement with the base" if is_agreement else "top-1",
        write=short_percent,
    )


def _staircase(
    front: Sequence[tuple[float, float]], *, floor: float, far: float
) -> list[tuple[float, float]]:
    """Corners of the best accuracy that each cost buys, from the axis to the far end."""
    corners: list[tuple[float, float]] = []
    reached = floor
    for cost, accuracy in front:
        corners += [(cost, reached), (cost, accuracy)]
        reached = accuracy
    return [*corners, (far, reached)]


def _latency_ends(entry: Entry) -> tuple[float, float] | None:
    if entry.p50_low_ms is None or entry.p50_high_ms is None:
        return None
    return entry.p50_low_ms, entry.p50_high_ms


def _saving_ends(entry: Entry) -> tuple[float, float] | None:
    if not entry.own_speedup_low or not entry.own_speedup_high:
        return None
    low, high = 1 - 1 / entry.own_speedup_low, 1 - 1 / entry.own_speedup_high
    # A bar from the edge would seem to end there.
    return None if low < SLOWEST_SHOWN else (low, high)


def _whole_percent(share: float) -> str:
    return percent(share, 0)


def _named(entries: Sequence[Entry], variant: str) -> Entry:
    return next(entry for entry in entries if entry.variant == variant)
