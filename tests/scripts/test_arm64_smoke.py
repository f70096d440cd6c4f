"""`scripts/arm64-smoke` as far as it goes without emulation."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from arm64_packages import requirements
from arm64_report import runs_table, wrong_delivery, wrong_numerics, wrong_runs
from rich.console import Console

from contract.manifest import Scheme
from support.tiny_bundles import ENGINE, SetMaker

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "arm64-smoke"
NUMERICS = ROOT / "scripts" / "lib" / "arm64_numerics.py"
RIGHT = {"variant": "tiny-sq8", "engine": "onednn", "ok": True, "max_error": 0.001}
GOLDEN = {"ok": True, "max_error": 0.0012, "tolerance": 0.02}
RUN = {
    "variant": "tiny-sq8",
    "scheme": "static-int8",
    "engine": "onednn",
    "status": "ok",
    "reason": None,
    "golden": GOLDEN,
    "p50_ms": 1234.5,
}
DEVICE = {"missing": 0, "quarantined": 0, "inventory": {"arch": "aarch64"}}


def start(*words: object, before: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    command = [*before, str(SCRIPT), *map(str, words)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


def test_help_names_every_option_and_makes_nothing() -> None:
    done = start("--help")
    assert done.returncode == 0
    assert done.stderr == ""
    accepted = set(re.findall(r"^ +(--[a-z]+)\b.*\)", SCRIPT.read_text(), re.MULTILINE))
    assert {"--keep", "--root"} <= accepted
    assert all(option in done.stdout for option in accepted)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--speed"], "unknown argument '--speed'"),
        (["--cpu"], "--cpu needs a value"),
        (["--suite", "buster"], "expected bookworm or trixie, got 'buster'"),
    ],
)
def test_wrong_use_is_told_and_ends_with_2(words: list[str], said: str) -> None:
    done = start(*words)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_folder_with_other_files_is_not_taken_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("dear")
    done = start("--root", tmp_path)
    assert done.returncode == 2
    assert "holds files that are not ours" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["letter"]


def test_without_root_it_says_that_it_needs_root() -> None:
    nobody = ("unshare", "--user")
    if shutil.which("unshare") is None or subprocess.run([*nobody, "true"], check=False).returncode:
        pytest.skip("this machine makes no user namespaces")
    done = start(before=nobody)
    assert done.returncode == 2
    assert "this needs root" in done.stderr


def test_the_root_gets_the_pinned_packages_of_the_agent_and_the_torch_asked_for() -> None:
    wanted = requirements("1.2.3")
    pinned = {line.lower().replace("_", "-") for line in constraints()}
    assert "torch==1.2.3" in wanted
    assert set(wanted) - {"torch==1.2.3"} <= pinned
    names = {line.partition("==")[0] for line in wanted}
    assert {"msgspec", "numpy", "paho-mqtt", "pillow", "psutil", "sympy", "mpmath"} <= names
    assert not {name for name in names if name.startswith(("nvidia", "torchvision", "amqtt"))}


def constraints() -> list[str]:
    return (ROOT / "constraints.txt").read_text().splitlines()


def test_numerics_that_are_off_are_named_with_their_engine() -> None:
    off = RIGHT | {"engine": "qnnpack", "ok": False, "max_error": 0.31}
    failed = RIGHT | {"engine": "x86", "error": "torch cannot load it"}
    assert wrong_numerics([RIGHT]) == []
    assert wrong_numerics([RIGHT, off, failed]) == [
        "tiny-sq8 on qnnpack: off by 0.31 of the range of its logits",
        "tiny-sq8 on x86: torch cannot load it",
    ]


def test_a_run_that_did_not_end_well_is_named_with_its_reason() -> None:
    crashed = RUN | {"status": "crashed", "reason": "illegal instruction"}
    assert wrong_runs([RUN], "bench") == []
    assert wrong_runs([RUN, crashed], "bench") == ["bench: tiny-sq8: crashed: illegal instruction"]


@pytest.mark.parametrize(
    ("device", "expected", "said"),
    [
        (DEVICE, 1, []),
        (DEVICE, 2, ["fleet: expected runs of 2 variants, got 1 runs"]),
        (DEVICE | {"missing": 3}, 1, ["fleet: 3 missing, 0 refused"]),
        (
            DEVICE | {"inventory": {"arch": "x86_64"}},
            1,
            ["fleet: expected an aarch64 device, got x86_64"],
        ),
    ],
)
def test_what_did_not_arrive_is_said(
    device: dict[str, Any], expected: int, said: list[str]
) -> None:
    assert wrong_delivery({"device": device, "runs": [RUN]}, expected=expected) == said


def test_the_table_of_runs_shows_errors_and_no_times() -> None:
    page = Console(file=io.StringIO(), width=120, record=True)
    page.print(runs_table([RUN, RUN | {"status": "oom", "engine": None, "golden": None}]))
    text = page.export_text()
    assert "0.0012" in text
    assert "oom" in text
    assert "1234" not in text


def test_each_bundle_is_proven_on_each_engine_of_this_torch(tmp_path: Path) -> None:
    maker = SetMaker(tmp_path)
    maker.add("tiny-base")
    maker.add("tiny-sq8", scheme=Scheme.STATIC_INT8)
    maker.add("tiny-off", scheme=Scheme.STATIC_INT8, wrong_golden=True)
    maker.finish()
    done = subprocess.run(
        [sys.executable, str(NUMERICS), str(tmp_path)], check=True, capture_output=True, text=True
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    engines = {row["engine"] for row in rows if row["variant"] == "tiny-sq8"}
    assert {ENGINE, "qnnpack"} <= engines
    chosen = {row["engine"] for row in rows if row["engine"] and row["is_chosen"]}
    assert chosen == {ENGINE}
    assert all(row["ok"] for row in rows if row["variant"] != "tiny-off")
    assert not any(row["ok"] for row in rows if row["variant"] == "tiny-off")
