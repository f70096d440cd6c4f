"""The command `benchmarks/agent.py` as a person runs it, on a tiny set."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from benchmarks.lib.agent_idle import Idle, rest_table, start_table
from contract.manifest import Scheme
from support.tiny_bundles import SetMaker

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "benchmarks" / "agent.py"
pytestmark = pytest.mark.timeout(600)


class Sections(msgspec.Struct):
    """What is read of the document here."""

    idle: Idle


class Document(msgspec.Struct):
    """One run of the benchmark."""

    started_at: str
    sections: Sections


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROGRAM, *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=540,
    )


def test_an_agent_at_rest_and_its_starts_are_measured_with_a_broker_and_without(
    tmp_path: Path,
) -> None:
    maker = SetMaker(tmp_path)
    maker.add("tiny-base", scheme=Scheme.STATIC_INT8)
    finished = run(
        "--quick", "--seconds", 0.5, "--only", "idle", "--bundles", maker.finish(), "--json"
    )
    assert finished.returncode == 0, finished.stderr
    found = msgspec.json.decode(finished.stdout, type=Document).sections.idle
    assert [rest.has_broker for rest in found.rests] == [True, False]
    for rest in found.rests:
        assert rest.seconds >= 0.5
        assert 10_000_000 < rest.rss_bytes <= rest.peak_rss_bytes < 200_000_000
        assert rest.pss_bytes is None or 0 < rest.pss_bytes <= rest.rss_bytes
        assert rest.threads == 2
        assert rest.cpu_share >= 0
        assert rest.switches_per_s >= 0
    connected, alone = found.starts
    assert len(connected.ready_s) == len(connected.announced_s) == len(alone.ready_s) == 3
    assert alone.announced_s == []
    assert min(*connected.ready_s, *connected.announced_s, *alone.ready_s) > 0
    printed = io.StringIO()
    for table in (rest_table(found.rests), start_table(found.starts)):
        Console(width=120, file=printed).print(table)
    assert printed.getvalue().count("broker away") == 2


def test_an_unknown_section_is_wrong_use() -> None:
    finished = run("--only", "nothing")
    assert finished.returncode == 2
    assert "idle" in finished.stderr
