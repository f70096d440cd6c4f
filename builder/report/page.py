"""The report as one HTML page that needs nothing else: styles, script and charts are inside."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources

import jinja2

from builder.report.charts import (
    SLOWEST_SHOWN,
    accuracy_chart,
    depth_chart,
    savings_chart,
    series_of,
)
from builder.report.document import Report
from builder.report.entry import Entry
from builder.report.picks import Wish
from builder.report.scatter import shape
from builder.report.strips import damage_bars, sensitivity_map
from builder.report.svg import drawing, element
from builder.report.variant_table import Cell, columns
from builder.report.verdicts import Cost, Verdict
from builder.report.wording import (
    amount,
    percent,
    points,
    scheme_words,
    significant,
    times,
)
from contract.manifest import AccuracyKind, Scheme

_TEMPLATES = resources.files("builder.report") / "templates"
_MB = 1e6
#: Less reads as 0.0 points.
_SHOWN_LOSS = 0.0005
_NOTABLE_SHARE = 0.03
_WISHES = {
    Wish.ACCURATE: "Most accurate",
    Wish.FAST: "Fastest that keeps the accuracy",
    Wish.SMALL: "Smallest that keeps the accuracy",
}


@dataclass(frozen=True, kw_only=True)
class Card:
    """What to take, where one thing matters most."""

    wish: str
    variant: str
    figures: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One variant in the table."""

    variant: str
    verdict: Verdict
    series: int
    cells: list[Cell]


def render(report: Report) -> str:
    """Return the page. Charts come from our own figures; all other text is escaped."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=False
    )
    template = environment.from_string(_read("report.html.j2"))
    side = [cost for cost in report.fronts if cost is not report.cost]
    judged = zip(report.entries, report.judgements, strict=True)
    series = series_of(report)
    table = columns(report)
    return template.render(
        report=report,
        style=_read("report.css"),
        script=_read("report.js"),
        headline=_headline(report),
        facts=_facts(report),
        cards=_cards(report),
        lead=_lead(report),
        legend=_legend(report),
        main_chart=accuracy_chart(report, report.cost),
        side_charts=[accuracy_chart(report, cost) for cost in side],
        savings=savings_chart(report),
        beyond_savings=[
            {"variant": entry.variant, "times": times(1 / entry.own_speedup)}
            for entry in report.entries
            if entry.own_speedup and (entry.time_saved_share or 0.0) < SLOWEST_SHOWN
        ],
        disappointments=_disappointments(report),
        depths=_depths(report),
        sensitivity_maps=_sensitivity_maps(report),
        damage_bars=_damage_bars(report),
        columns=table,
        rows=[
            Row(
                variant=entry.variant,
                verdict=judgement.verdict,
                series=series[entry.architecture],
                cells=[column.cell(entry, judgement) for column in table],
            )
            for entry, judgement in judged
        ],
        footnotes=_footnotes(report),
    )


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _headline(report: Report) -> str:
    """Say the finding that matters most."""
    fast = next((pick.variant for pick in report.picks if pick.wish is Wish.FAST), None)
    entry = next((entry for entry in report.entries if entry.variant == fast), None)
    if entry is None:
        return f"{len(report.entries)} variants in {report.name}"
    gain = entry.speedup if report.cost is Cost.LATENCY else entry.macs_ratio
    if entry.is_baseline or gain is None or gain <= 1:
        return f"Nothing here is faster than {report.baseline} without losing accuracy"
    how = (
        f"is {times(gain)} as fast as"
        if report.cost is Cost.LATENCY
        else f"does 1/{significant(gain, 2)} of the work of"
    )
    return f"{entry.variant} {how} {report.baseline}, {_keeps(entry, report)}"


def _keeps(entry: Entry, report: Report) -> str:
    gap = entry.gap
    if gap is None or gap.difference == 0:
        return "and is as accurate"
    if gap.low > 0:
        return f"and is {points(gap.difference)} more accurate"
    if gap.difference > -_SHOWN_LOSS:
        return f"and {report.images:,} images show no loss of accuracy"
    return (
        f"and on {report.images:,} images the {points(gap.difference)} that it lost may be chance"
    )


def _facts(report: Report) -> list[tuple[str, str]]:
    networks = dict.fromkeys(entry.architecture for entry in report.entries)
    kind = "images without labels" if _is_agreement(report) else "labelled images"
    facts = [
        ("Set", f"{report.name}: {len(report.entries)} variants of {', '.join(networks)}"),
        ("Baseline", report.baseline),
        ("Data", f"{report.dataset}, {report.images:,} {kind}"),
    ]
    if report.host is not None:
        thread = "thread" if report.host.threads == 1 else "threads"
        where = f"{report.host.cpu}, {report.host.threads} {thread}, torch {report.host.torch}"
        facts.append(("Timed on", where))
    return [*facts, ("Made", _moment(report.made_at))]


def _moment(made_at: str) -> str:
    return f"{datetime.fromisoformat(made_at).astimezone(UTC):%d %B %Y, %H:%M} UTC"


def _cards(report: Report) -> list[Card]:
    entries = {entry.variant: entry for entry in report.entries}
    words = {judgement.variant: judgement.words for judgement in report.judgements}
    wishes: dict[str, list[str]] = {}
    for pick in report.picks:
        wishes.setdefault(pick.variant, []).append(_WISHES[pick.wish])
    return [
        Card(
            wish=" \N{MIDDLE DOT} ".join(granted),
            variant=variant,
            figures=_figures(entries[variant]),
            words=words[variant][:1].upper() + words[variant][1:] + ".",
        )
        for variant, granted in wishes.items()
    ]


def _figures(entry: Entry) -> str:
    figures = [f"top-1 {percent(entry.top1)}"]
    if entry.p50_ms is not None:
        figures.append(f"{significant(entry.p50_ms)} ms")
    if entry.speedup is not None and not entry.is_baseline:
        figures.append(times(entry.speedup))
    return ", ".join([*figures, f"{significant(entry.bytes / _MB)} MB"])


def _lead(report: Report) -> str:
    against = {
        Cost.LATENCY: "the time of one image on this host",
        Cost.MACS: "the work for one image",
        Cost.SIZE: "the size of the file",
    }[report.cost]
    return (
        f"Each mark is a variant: its accuracy against {against}, both better towards the upper "
        "left. Nothing stands above the line; what stands below it is beaten by something on it. "
        "Marks whose bars overlap may differ by chance."
    )


def _legend(report: Report) -> list[dict[str, str]]:
    items = [
        {"name": name, "mark": _key(Scheme.FP32, f"s{number}")}
        for name, number in series_of(report).items()
    ]
    schemes = dict.fromkeys(entry.scheme for entry in report.entries)
    if len(schemes) > 1:
        items += [
            {"name": scheme_words(scheme), "mark": _key(scheme, "neutral")} for scheme in schemes
        ]
    return items


def _key(scheme: Scheme, colour: str) -> str:
    mark = element("g", shape(scheme, 7, 7, 5.0), class_=f"mark {colour}")
    return drawing(14, 14, scheme_words(scheme), mark, kind="key")


def _disappointments(report: Report) -> list[dict[str, str]]:
    savers = {
        entry.variant
        for entry in report.entries
        if (entry.macs_saved_share or 0.0) >= _NOTABLE_SHARE
    }
    return [
        # The rest of the sentence is what to take instead, and stands in the table.
        {"variant": judgement.variant, "words": judgement.words.partition(";")[0]}
        for judgement in report.judgements
        if judgement.verdict in {Verdict.NO_GAIN, Verdict.SLOWER} and judgement.variant in savers
    ]


def _depths(report: Report) -> list[dict[str, object]]:
    return [
        {
            "family": ladder.family,
            "steps": ladder.steps,
            "chart": depth_chart(report, ladder),
            "rungs": [
                {
                    "variant": rung.variant,
                    "architecture": rung.architecture,
                    "series": series_of(report)[rung.architecture],
                    "blocks": rung.blocks,
                    "macs": amount(rung.macs),
                    "parameters": amount(rung.parameters),
                    "p50": "\N{EN DASH}" if rung.p50_ms is None else significant(rung.p50_ms),
                    "top1": percent(rung.top1),
                    "best": rung.best_variant,
                    "best_top1": percent(rung.best_top1),
                }
                for rung in ladder.rungs
            ],
        }
        for ladder in report.ladders
    ]


def _sensitivity_maps(report: Report) -> list[dict[str, str]]:
    return [
        {
            "name": study.architecture,
            "words": "How far the answers move, in nats of divergence, when a share of one "
            f"group's filters is removed and all else left whole: {study.images:,} images at "
            f"{study.input_size} px. Pale rows with much work are the ones to prune.",
            "chart": sensitivity_map(study),
        }
        for study in report.studies.sensitivities
    ]


def _damage_bars(report: Report) -> list[dict[str, str]]:
    return [
        {
            "name": study.network,
            "words": "How far the answers move, in nats of divergence, when that layer alone is "
            "quantized. Long bars are the layers worth keeping in floats.",
            "chart": damage_bars(study),
        }
        for study in report.studies.damages
    ]


def _footnotes(report: Report) -> list[str]:
    notes = [
        (
            "Intervals are 95 %. Accuracy: Wilson's score interval; differences: Tango's "
            "interval for pairs where both variants say which images they got right, else "
            "Newcombe's."
        )
    ]
    if report.host is not None:
        notes.append(
            "Latency: median over bursts of single-image inferences on one core, prepared the way "
            "that was faster here (frozen, or rewritten for inference). Each variant ran in turns "
            "with the set's baseline, and its milliseconds are the baseline's by the median ratio "
            "of the two. The interval takes no distribution for granted. Other processors rank "
            "variants differently: edgewright-agent bench measures on the device itself."
        )
    if _is_agreement(report):
        notes.append("The images have no labels: accuracy here means agreement with the base.")
    return [*notes, f"Set {report.set_id}. The same figures stand in report.json and report.csv."]


def _is_agreement(report: Report) -> bool:
    return report.accuracy_kind is AccuracyKind.AGREEMENT
