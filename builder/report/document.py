"""The report as data: everything that its page shows, worked out from what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from builder.measuring.timing import HostTiming, TimingStatus
from builder.report.depth import Ladder, ladders
from builder.report.entry import Entry, make_entries
from builder.report.gap import Gap, accuracy_gap
from builder.report.picks import Pick, pick
from builder.report.verdicts import Cost, Judgement, front_of, judge_all
from builder.report.wording import percent
from builder.studies.store import Studies
from contract.bundleset import BundleSet, Member
from contract.manifest import AccuracyKind, Manifest

SCHEMA = 1
#: Below this share of its core a timing tells about the other programs too.
_UNDISTURBED = 0.97


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """Where the latencies were measured."""

    cpu: str
    torch: str
    threads: int
    #: The least share of its core that a variant had while it was timed.
    cpu_share: float | None


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle set's report (`report.json`). Shares are 0..1, intervals 95 %."""

    schema: int = SCHEMA
    name: str
    set_id: str
    baseline: str
    made_at: str
    dataset: str
    images: int
    accuracy_kind: AccuracyKind
    #: None where nothing was timed: then work stands in for time.
    host: Host | None
    #: What accuracy is held against in the verdicts.
    cost: Cost
    notes: list[str]
    picks: list[Pick]
    #: Variants by cost that nothing else beats, cheapest first.
    fronts: dict[Cost, list[str]]
    entries: list[Entry]
    judgements: list[Judgement]
    ladders: list[Ladder]
    studies: Studies


def make_report(
    name: str,
    bundle_set: BundleSet,
    rows: Sequence[tuple[Member, Manifest]],
    *,
    timings: Mapping[str, HostTiming],
    studies: Studies,
    made_at: datetime,
) -> Report:
    """Work out the report of a set.

    Args:
        name: what the set is called.
        bundle_set: the set.
        rows: its bundles that could be read, at least one.
        timings: by variant; empty where nothing was timed.
        studies: what was found out layer by layer.
        made_at: the report's date.
    """
    manifests = {member.variant: manifest for member, manifest in rows}
    entries = make_entries(rows, bundle_set.baseline, timings)
    is_timed = any(entry.p50_ms is not None for entry in entries)
    cost = Cost.LATENCY if is_timed else Cost.MACS
    costs = [Cost.LATENCY, Cost.SIZE, Cost.MACS] if is_timed else [Cost.SIZE, Cost.MACS]

    def gap_between(one: Entry, other: Entry) -> Gap:
        return accuracy_gap(manifests[one.variant].accuracy, manifests[other.variant].accuracy)

    judgements = judge_all(entries, cost, gap_between=gap_between)
    reference = manifests.get(bundle_set.baseline, rows[0][1]).accuracy
    host = _host(list(timings.values()))
    return Report(
        name=name,
        set_id=bundle_set.set_id,
        baseline=bundle_set.baseline,
        made_at=made_at.isoformat(timespec="seconds"),
        dataset=reference.dataset,
        images=reference.images,
        accuracy_kind=reference.kind,
        host=host,
        cost=cost,
        notes=list(_notes(bundle_set, manifests, entries, host)),
        picks=pick(entries, cost),
        fronts={cost: [entry.variant for entry in front_of(entries, cost)] for cost in costs},
        entries=entries,
        judgements=judgements,
        ladders=ladders(entries, manifests),
        studies=studies,
    )


def _host(timings: Sequence[HostTiming]) -> Host | None:
    timed = [timing for timing in timings if timing.status is TimingStatus.OK]
    if not timed:
        return None
    shares = [timing.cpu_share for timing in timed if timing.cpu_share is not None]
    first = timed[0]
    return Host(
        cpu=first.cpu,
        torch=first.torch,
        threads=first.threads,
        cpu_share=min(shares, default=None),
    )


def _notes(
    bundle_set: BundleSet,
    manifests: Mapping[str, Manifest],
    entries: Sequence[Entry],
    host: Host | None,
) -> list[str]:
    notes = []
    if host is None:
        notes.append(
            "Nothing was timed on this host, so MACs stand in for time. They are a poor "
            "substitute: quantized variants do as many MACs in less time."
        )
    elif host.cpu_share is not None and host.cpu_share < _UNDISTURBED:
        notes.append(
            "Other programs ran meanwhile: at worst a variant had its core for "
            f"{percent(host.cpu_share, 0)} of the time. Take the latencies with care, or time "
            "again on a quiet host with --fresh."
        )
    missing = [member.variant for member in bundle_set.members if member.variant not in manifests]
    if missing:
        notes.append(f"Left out, because the bundles are damaged: {', '.join(missing)}.")
    if bundle_set.baseline not in manifests:
        notes.append(f"The baseline {bundle_set.baseline} is missing: nothing is held against it.")
    exams = {(m.accuracy.dataset, m.accuracy.images, m.accuracy.kind) for m in manifests.values()}
    if len(exams) > 1:
        sets = ", ".join(sorted(f"{images} of {dataset}" for dataset, images, _ in exams))
        notes.append(f"Variants were measured on different images ({sets}): compare with care.")
    if any(m.accuracy.kind is AccuracyKind.AGREEMENT for m in manifests.values()):
        notes.append(
            "The images have no labels: top-1 is how often a variant agrees with its base network."
        )
    if entries and all(entry.gap is None or not entry.gap.is_paired for entry in entries):
        notes.append(
            "The bundles do not say which images they got right, so differences of accuracy "
            "are taken from totals, which tells less apart."
        )
    return notes
