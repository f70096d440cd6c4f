"""The server's process as the agent keeps it, with small programs in the server's place."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.serving.report import ServingReport
from agent.serving_child import ServingChild
from support.processes import children, wait_until

Start = Callable[[str], list[ServingReport]]

_WAITS = "import sys; sys.stdin.read()"


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a program as the server, and hears its reports."""
    before = children()
    started: list[ServingChild] = []

    def run(program: str) -> list[ServingReport]:
        reports: list[ServingReport] = []
        started.append(ServingChild([sys.executable, "-c", program], on_report=reports.append))
        started[-1].start()
        return reports

    yield run
    for child in started:
        child.stop()
    assert children() == before, "a child was left behind"


def test_what_the_server_reports_is_heard_and_it_ends_with_its_standard_input(start: Start) -> None:
    reports = start(f"""print('{{"address": "http://here"}}', flush=True); {_WAITS}""")
    wait_until("it is heard", lambda: len(reports) == 1)
    assert reports == [ServingReport(address="http://here")]


def test_a_server_that_dies_is_started_again_and_told_as_a_problem_from_the_second_time(
    start: Start,
) -> None:
    reports = start("raise SystemExit(7)")
    wait_until("it died twice", lambda: len(reports) >= 2)
    assert reports[0] == ServingReport()
    assert reports[1].problem == "the server does not stay alive: exit code 7"


def test_what_the_server_found_wrong_itself_is_told_at_once(start: Start) -> None:
    reports = start(
        """print('{"problem": "the port is taken"}', flush=True); raise SystemExit(1)"""
    )
    wait_until("it ended", lambda: len(reports) >= 2)
    assert {report.problem for report in reports[:2]} == {"the port is taken"}


def test_what_is_no_report_is_passed_over(start: Start) -> None:
    reports = start(f"""print("warning"); print('{{"address": "x"}}', flush=True); {_WAITS}""")
    wait_until("it is heard", lambda: len(reports) == 1)
    assert reports[0].address == "x"


def test_a_program_that_cannot_be_started_is_told(tmp_path: Path) -> None:
    reports: list[ServingReport] = []
    child = ServingChild([str(tmp_path / "missing")], on_report=reports.append)
    child.start()
    wait_until("it is told", lambda: len(reports) >= 1)
    child.stop()
    assert "cannot be started" in (reports[0].problem or "")
