"""How `deploy --hosts` prints: a table that grows on standard error, and the results."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

from rich.live import Live

from edgewright.console import Console, Table, styled
from fleet.commands.printing import print_lines, print_table
from fleet.deploy.hosts_run import HostResult, HostStatus
from fleet.reports.fitting import fitted
from fleet.reports.table import plain_table

_STYLE = {
    HostStatus.DEPLOYED: "green",
    HostStatus.UNCHANGED: "green",
    HostStatus.REMOVED: "green",
    HostStatus.WORKING: "cyan",
    HostStatus.FAILED: "red",
    HostStatus.INTERRUPTED: "red",
    HostStatus.NOT_BEGUN: "yellow",
}
_ABSENT = "-"


@contextlib.contextmanager
def hosts_progress(waiting: Sequence[HostResult]) -> Iterator[Callable[[HostResult], None]]:
    """Show on standard error how it stands with each box: a table, or without a terminal lines."""
    if not sys.stderr.isatty():
        yield lambda result: print_lines([_line(result)], err=True)
        return
    console = Console(stderr=True)
    results = {one.host: one for one in waiting}
    with Live(console=console, transient=True, refresh_per_second=4) as live:

        def show(result: HostResult) -> None:
            results[result.host] = result
            live.update(fitted(_table(list(results.values())), console.width)[0])

        yield show


def print_results(results: Sequence[HostResult]) -> None:
    """Print a row for each box, and below it what went wrong or should be known, whole."""
    print_table(_table(results))
    for one in results:
        lines = [f"{one.host}: {note}" for note in one.notes]
        if one.detail is not None and one.status.is_bad:
            # What ssh says names the box already; a step's last words are lines of their own.
            said = one.detail.removeprefix(f"{one.host}: ")
            lines += [f"{one.host}: {line}" for line in said.split("\n")]
        for step in one.steps:
            by = " (root)" if step.as_root else ""
            lines.append(f"{one.host}: {step.title}{by}")
        if one.kept:
            lines.append(f"{one.host}: left there: {', '.join(one.kept)} (--purge)")
        print_lines(lines)
    counts = {status: sum(one.status is status for one in results) for status in HostStatus}
    said = ", ".join(f"{count} {status.value}" for status, count in counts.items() if count)
    print_lines([f"{len(results)} boxes: {said}."])


def _table(results: Sequence[HostResult]) -> Table:
    table = plain_table("host", "device", "status", "release", "what")
    for one in results:
        detail = (one.detail or _ABSENT).removeprefix(f"{one.host}: ").split("\n", 1)[0]
        name = "/".join(part for part in (one.site, one.device) if part is not None)
        table.add_row(
            one.host,
            name or _ABSENT,
            styled(one.status.value, _STYLE.get(one.status, "")),
            one.release or _ABSENT,
            detail,
        )
    return table


def _line(result: HostResult) -> str:
    detail = result.detail.removeprefix(f"{result.host}: ") if result.detail else None
    parts = [result.host, result.status.value, result.release, detail]
    return ": ".join(one for one in parts if one is not None)
