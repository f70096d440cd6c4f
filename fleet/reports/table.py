"""Tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from edgewright.console import Table, styled
from fleet.choosing.decision import Status, Verdict
from fleet.choosing.metric import BYTES_PER_MB
from fleet.reports.report import CandidateReport, DeviceReport, RecommendationReport
from fleet.store.distribution import RunDistribution
from fleet.store.evidence import StoredRun
from fleet.store.quarantine import Quarantined
from fleet.store.tokens import Token

_ABSENT = "-"
_STATUS_STYLE = {Status.CHOSEN: "green", Status.NEAREST_MISS: "yellow", Status.NO_DATA: "red"}
_VERDICT_STYLE = {
    Verdict.CHOSEN: "bold green",
    Verdict.INFEASIBLE: "yellow",
    Verdict.FAILED: "red",
    Verdict.INSUFFICIENT: "red",
    Verdict.DOMINATED: "dim",
}


def devices_table(rows: Sequence[DeviceReport]) -> Table:
    """Presence, completeness and variants of each device."""
    table = plain_table("device", "presence", "last seen", "#results", "stored", "#quarantined")
    for heading in ("active variant", "desired variant", "update"):
        table.add_column(heading)
    for row in rows:
        table.add_row(
            f"{row.site}/{row.device}",
            row.presence.value if row.presence else _ABSENT,
            clock(row.last_seen_at),
            str(row.results),
            "complete" if row.complete else f"missing {row.missing}",
            str(row.quarantined),
            _text(row.active_variant),
            _ABSENT
            if row.desired_variant is None
            else f"{row.desired_variant} (generation {row.desired_generation})",
            _text(row.phase) if row.phase_reason is None else f"{row.phase}: {row.phase_reason}",
        )
    return table


def recommendations_table(rows: Sequence[RecommendationReport]) -> Table:
    """The pick of each device and why."""
    table = plain_table("device", "status", "variant", "#threads", "#p50 ms", "#p95 ms")
    for heading in ("#peak MB", "#top-1", "#speed-up", "why"):
        _add(table, heading)
    for row in rows:
        style = _STATUS_STYLE[row.status]
        table.add_row(
            f"{row.site}/{row.device}",
            styled(row.status.value, style),
            _text(row.variant),
            _text(row.threads),
            _number(row.p50_ms),
            _number(row.p95_ms),
            _megabytes(row.peak_rss_bytes),
            _percent(row.top1),
            _times(row.speedup),
            row.reason,
        )
    return table


def candidates_table(rows: Sequence[CandidateReport]) -> Table:
    """Every measured variant of one device, and whether it fits."""
    table = plain_table("variant", "#threads", "#size MB", "#p50 ms", "#p95 ms", "#peak MB")
    for heading in ("#top-1", "#on device", "#speed-up", "verdict"):
        _add(table, heading)
    for row in rows:
        table.add_row(
            row.variant,
            str(row.threads),
            _megabytes(row.bytes),
            _number(row.p50_ms),
            _number(row.p95_ms),
            _megabytes(row.peak_rss_bytes),
            _percent(row.top1),
            _percent(row.device_top1),
            _times(row.speedup),
            row.why,
            style=_VERDICT_STYLE.get(row.verdict),
        )
    return table


def results_table(runs: Sequence[StoredRun]) -> Table:
    """Every stored run of one device, oldest first."""
    table = plain_table("#seq", "variant", "#threads", "status", "#n", "#p50 ms", "#p95 ms")
    for heading in ("#peak MB", "#top-1", "#on device", "#speed-up", "golden", "notes"):
        _add(table, heading)
    for one in runs:
        run = one.run
        notes = [*run.notes, *([run.reason] if run.reason else [])]
        table.add_row(
            str(one.seq),
            run.variant,
            str(run.threads),
            run.status.value,
            str(run.n),
            _number(run.p50_ms),
            _number(run.p95_ms),
            _megabytes(run.peak_rss_bytes),
            _percent(run.top1),
            _percent(run.device_top1),
            _times(run.speedup),
            _ABSENT if run.golden is None else ("ok" if run.golden.ok else "differs"),
            "; ".join(notes if one.current else ["stale", *notes]),
            style=None if one.current else "dim",
        )
    return table


def distributions_table(
    runs: Sequence[StoredRun], known: Mapping[tuple[str, int], RunDistribution]
) -> Table:
    """What the latencies of each run were like, in ms; runs without samples are left out."""
    table = plain_table("#seq", "variant", "#threads", "samples", "#n", "#mean", "#std dev", "#min")
    for heading in ("#p1", "#p5", "#p25", "#p50", "#p75", "#p95", "#p99", "#p99.9", "#max"):
        _add(table, heading)
    for one in runs:
        found = known.get((one.epoch, one.seq))
        if found is None:
            continue
        told = found.distribution
        figures = (
            told.mean_ms, told.stddev_ms, told.min_ms, told.p1_ms, told.p5_ms, told.p25_ms,
            told.p50_ms, told.p75_ms, told.p95_ms, told.p99_ms, told.p99_9_ms, told.max_ms,
        )  # fmt: skip
        table.add_row(
            str(one.seq),
            one.run.variant,
            str(one.run.threads),
            found.kept.value,
            str(told.n),
            *(_number(figure) for figure in figures),
        )
    return table


def quarantine_table(rows: Sequence[Quarantined]) -> Table:
    """Refused messages and the reasons."""
    table = plain_table("#no.", "last", "#times", "#bytes", "begins with", "topic", "reason")
    for row in rows:
        table.add_row(
            str(row.number),
            clock(row.last_at),
            str(row.times),
            str(row.payload_bytes),
            row.excerpt[:60],
            row.topic,
            row.reason,
        )
    return table


def tokens_table(rows: Sequence[Token], *, now: float) -> Table:
    """Names and roles of tokens, and until when they hold."""
    table = plain_table("name", "role", "made", "void from", "last used on")
    for row in rows:
        until = clock(row.expires_at)
        table.add_row(
            row.name,
            row.role.value,
            clock(row.created_at),
            f"{until} (void)" if row.is_expired(now) else until,
            _text(row.last_used_on),
        )
    return table


def plain_table(*headings: str) -> Table:
    """An empty table without lines; headings that start with # are of numbers."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        _add(table, heading)
    return table


def clock(at: float | None) -> str:
    """A time of this machine's zone, of seconds since 1970."""
    if at is None:
        return _ABSENT
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _add(table: Table, heading: str) -> None:
    """Add a column; a heading that starts with # is a number's, set to the right."""
    if heading.startswith("#"):
        table.add_column(heading[1:], justify="right")
    else:
        table.add_column(heading, overflow="fold")


def _text(value: object | None) -> str:
    return _ABSENT if value is None else str(value)


def _number(value: float | None) -> str:
    if value is None:
        return _ABSENT
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"  # noqa: PLR2004 - three digits


def _megabytes(count: int | None) -> str:
    return _ABSENT if count is None else f"{count / BYTES_PER_MB:.1f}"


def _percent(share: float | None) -> str:
    return _ABSENT if share is None else f"{share * 100:.2f} %"


def _times(ratio: float | None) -> str:
    return _ABSENT if ratio is None else f"{ratio:.2f}x"
