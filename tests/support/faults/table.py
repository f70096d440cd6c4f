"""The fault table: what was done, how often, what had to hold, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

_PROPERTY = "fault"
_HEADINGS = ("fault", "tried", "what must hold", "result")
_WORDS = {"passed": "holds", "failed": "DOES NOT HOLD", "skipped": "NOT SHOWN HERE"}


@dataclass(frozen=True)
class Row:
    """One line of the table while its test runs."""

    _fields: dict[str, Any]

    def tried(self, times: int = 1) -> None:
        """Count what was done, as it is done."""
        self._fields["tried"] += times

    def came_to(self, outcome: str) -> None:
        """State what was seen."""
        self._fields["outcome"] = outcome


@pytest.fixture
def fault(request: pytest.FixtureRequest) -> Callable[..., Row]:
    """Begin a row of the fault table: `fault("disk full", holds="no run is lost")`."""

    def begin(name: str, *, holds: str) -> Row:
        row = {"name": name, "holds": holds, "tried": 0, "outcome": ""}
        # Properties travel with the report, also from another process.
        request.node.user_properties.append((_PROPERTY, row))
        return Row(row)

    return begin


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of the faults that this run did."""
    reports = [
        report
        for category in _WORDS
        for report in terminalreporter.stats.get(category, [])
        if isinstance(report, pytest.TestReport)
    ]
    reports.sort(key=lambda report: (report.location[0], report.location[1] or 0, report.nodeid))
    rows = [_HEADINGS]
    for report in reports:
        for name, row in report.user_properties:
            if name == _PROPERTY and isinstance(row, dict):
                word = _WORDS[report.outcome]
                result = f"{word}: {row['outcome']}" if row["outcome"] else word
                rows.append((row["name"], str(row["tried"]), row["holds"], result))
    if len(rows) == 1:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADINGS))]
    terminalreporter.section("fault table")
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        terminalreporter.write_line(" | ".join(cells).rstrip())
