"""How `deploy --hosts` prints: a table that grows on standard error, and the results."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

from rich.console import RenderableType
from rich.live import Live

from edgewright.console import Console, Table, styled
from edgewright.terminal import LINE_CHARACTERS, visible
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
_COLUMNS = ("host", "device", "status", "release")
_ABSENT = "-"


@contextlib.contextmanager
def hosts_progress(waiting: Sequence[HostResult]) -> Iterator[Callable[[HostResult], None]]:
    """Show on standard error how it stands with each box: a table, or without a terminal lines.

    Why a box failed is said whole, once, when it does.
    """
    if not sys.stderr.isatty():
        yield lambda result: print_lines(_lines(result), err=True)
        return
    console = Console(stderr=True)
    results = {one.host: one for one in waiting}
    with Live(console=console, transient=True, refresh_per_second=4) as live:

        def show(result: HostResult) -> None:
            results[result.host] = result
            if result.status.is_bad and result.detail is not None:
                # It stays above the table, which is drawn anew below it.
                for line in _lines(result):
                    console.print(visible(line, LINE_CHARACTERS))
            live.update(fitted(_progress_table(list(results.values())), console.width)[0])

        yield show


def print_results(results: Sequence[HostResult]) -> None:
    """Print a row for each box, what should be known of it, and how many stand how."""
    print_table(_table(results))
    for one in results:
        lines = [f"{one.host}: {note}" for note in one.notes]
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
    table = plain_table(*_COLUMNS)
    for one in results:
        table.add_row(*_cells(one))
    return table


def _progress_table(results: Sequence[HostResult]) -> Table:
    table = plain_table(*_COLUMNS, "what")
    for one in results:
        step = None if one.status.is_bad else one.detail
        table.add_row(*_cells(one), step or _ABSENT)
    return table


def _cells(one: HostResult) -> tuple[RenderableType, ...]:
    name = "/".join(part for part in (one.site, one.device) if part is not None)
    status = styled(one.status.value, _STYLE.get(one.status, ""))
    return one.host, name or _ABSENT, status, one.release or _ABSENT


def _lines(result: HostResult) -> list[str]:
    """How it stands with a box; a step's last words are lines of their own."""
    # What ssh says names the box already.
    detail = result.detail.removeprefix(f"{result.host}: ") if result.detail else None
    parts = [result.host, result.status.value, result.release, detail]
    first, *more = ": ".join(one for one in parts if one is not None).split("\n")
    return [first, *(f"{result.host}: {line}" for line in more)]
