"""A contest as tables for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from benchmarks.lib.contest_report import Contest, Entrant
from benchmarks.lib.rounds import Ratio
from benchmarks.lib.standing import Standing, Verdict
from benchmarks.lib.tables import conditions, disturbance, measured_table

_MEGABYTE = 1_000_000


def print_contest(contest: Contest, console: Console) -> None:
    """Print everything that a person wants to know of it."""
    for line in conditions(contest.processor, contest.versions):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print()
    console.print(entrants_table(contest))
    console.print(verdicts_table(contest))
    for line in remarks(contest):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def entrants_table(contest: Contest) -> Table:
    """One row a variant of either set, the fastest first."""
    table = measured_table(
        f"{contest.network} at {contest.input_size} px on {contest.data}: all variants, "
        "p50 at one thread",
        ("grid", "search", "MMACs", "MB", "p50 ms", "interval", "top-1", "grid points dominated"),
    )
    for one in contest.entrants:
        table.add_row(
            one.variant,
            "x" if one.in_grid else "",
            _place(one),
            f"{one.macs / 1e6:,.0f}",
            f"{one.bytes / _MEGABYTE:.1f}",
            f"{one.latency.p50_ms:.3f}",
            _interval(one.latency.low_ms, one.latency.high_ms, 3),
            f"{one.top1:.2%}",
            str(len(one.dominated)) if one.in_search else "",
        )
    return table


def verdicts_table(contest: Contest) -> Table:
    """One row a point of the grid: what the search has to show for it."""
    table = measured_table(
        "each point of the grid, and what the search has to show for it",
        ("standing", "by", "times faster", "top-1 gap", "paired interval"),
    )
    for verdict in contest.verdicts:
        table.add_row(verdict.variant, str(verdict.standing), *_evidence(verdict))
    return table


def remarks(contest: Contest) -> Iterator[str]:
    """Lines that belong below the tables: the counts first."""
    points = len(contest.verdicts)
    counts = ", ".join(f"{contest.counts[standing]} {standing}" for standing in Standing)
    yield f"of {points} points of the grid: {counts}"
    yield _winners(contest)
    share = contest.search_area / contest.grid_area if contest.grid_area else None
    if share is not None:
        yield f"area under the front (hypervolume): the search's is {share:.3f} of the grid's"
    yield (
        f"the search made {contest.tried} of at most {contest.budget} trials in "
        f"{contest.search_s:.0f} s; the grid took up the variants that both want"
    )
    yield f"weights {contest.weights}; top-1 on {contest.images} images of {contest.data}"
    yield from disturbance(contest.foreign_share)
    for problem in contest.missed:
        yield f"not built: {problem}"


def _winners(contest: Contest) -> str:
    winners = contest.winners
    bar = f"fastest with at most {winners.max_top1_drop * 100:g} points of top-1 lost"
    if winners.speed is None:
        return f"{bar}: {winners.of_search}, of both"
    return (
        f"{bar}: the search's {winners.of_search} is {_times(winners.speed)} times as fast as the "
        f"grid's {winners.of_grid}"
    )


def _place(one: Entrant) -> str:
    if not one.in_search:
        return ""
    return "front" if one.is_on_front else "x"


def _evidence(verdict: Verdict) -> list[str]:
    if verdict.standing is Standing.MISSED:
        time, top1 = verdict.time_missed, verdict.top1_missed
        slower = "nothing as accurate" if time is None else f"as accurate: {time:+.1%} time"
        worse = "nothing as fast" if top1 is None else f"as fast: {-top1 * 100:+.2f} points"
        return ["", slower, worse, ""]
    if verdict.speed is None or verdict.gap is None:
        return ["", "", "", ""]
    gap = verdict.gap
    return [
        verdict.by or "",
        _times(verdict.speed),
        f"{gap.difference * 100:+.2f}",
        f"{gap.low * 100:+.2f} to {gap.high * 100:+.2f}",
    ]


def _times(ratio: Ratio) -> str:
    interval = _interval(ratio.low, ratio.high, 2)
    return f"{ratio.times_faster:.2f}" + (f" ({interval})" if interval else "")


def _interval(low: float | None, high: float | None, digits: int) -> str:
    return "" if low is None or high is None else f"{low:.{digits}f} - {high:.{digits}f}"
