"""What the conformance kit found, for people."""

from __future__ import annotations

from edgewright.console import Table, styled
from fleet.conformance.finding import Conformance, Finding, Status

_STYLES = {
    Status.PASSED: "green",
    Status.FAILED: "bold red",
    Status.PRESENT: "green",
    Status.ABSENT: "yellow",
    Status.UNTRIED: "dim",
}

_POSSIBLE = {True: "possible", False: "not possible", None: "not known"}


def conformance_table(found: Conformance) -> Table:
    """A row a check: how it went, what was tried, and what came of it."""
    table = Table(box=None, pad_edge=False)
    for heading in ("check", "status", "what", "came"):
        table.add_column(heading, overflow="fold")
    for one in found.findings:
        style = _STYLES[one.status]
        table.add_row(one.check, styled(one.status, style), one.asks, _came(one))
    return table


def conformance_lines(found: Conformance) -> list[str]:
    """What each failed or absent thing means, and which ways to run collectors are possible."""
    by_meaning: dict[str, list[Finding]] = {}
    for one in found.findings:
        if one.means is not None:
            by_meaning.setdefault(one.means, []).append(one)
    lines = [
        f"{', '.join(one.check for one in alike)} {alike[0].status}: {means}"
        for means, alike in by_meaning.items()
    ]
    if lines:
        lines.append("")
    return lines + [
        f"edgewright-fleet {way.command}: {_POSSIBLE[way.possible]}, {way.why}"
        for way in found.ways
    ]


def _came(one: Finding) -> str:
    return one.got if one.expected is None else f"expected {one.expected}; got {one.got}"
