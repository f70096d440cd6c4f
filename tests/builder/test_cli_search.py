"""`edgewright-builder search` as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.bundleset import read_set

Command = Callable[..., subprocess.CompletedProcess[str]]


def _arguments(data: Path, out: Path, *networks: str) -> list[object]:
    return [
        "search", *networks, "--data", data, "--out", out, "--weights", "none",
        "--input-size", 16, "--finetune-epochs", 0, "--budget", 2,
    ]  # fmt: skip


def test_a_search_prints_its_findings_as_one_document_and_goes_on_when_run_again(
    command: Command, data: Path, tmp_path: Path
) -> None:
    arguments = _arguments(data, tmp_path / "set", "tiny_networks:Joined")

    first = command(*arguments, "--no-report", "--max-top1-drop", 1, "--json")
    again = command(*arguments, "--max-top1-drop", 1)

    assert first.returncode == 0, first.stderr
    found = json.loads(first.stdout)
    variants = [trial["variant"] for trial in found["trials"]]
    assert variants[0] == "joined-base"
    assert len(variants) == 2
    assert found["baseline"] == "joined-base"
    assert found["best"] in found["front"]
    assert {member.variant for member in read_set(tmp_path / "set").members} == set(variants)
    assert again.returncode == 0, again.stderr
    assert "2 trials were made before" in again.stderr
    assert f"fastest of 2 with at most 100 points of top-1 lost: {found['best']}" in again.stdout
    assert (tmp_path / "set" / "report.html").is_file()


def test_a_search_that_is_stopped_shows_what_it_found_and_does_not_end_as_if_done(
    data: Path, tmp_path: Path
) -> None:
    arguments = _arguments(data, tmp_path / "set", "tiny_networks:Joined")
    with subprocess.Popen(
        [sys.executable, "-m", "builder", *map(str, arguments), "--budget", "30"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).with_name("own"),
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if "built joined-base" in line:
                break
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate()

    assert process.returncode == 1
    assert "stopped; this is what was found, and a rerun goes on from there" in rest
    assert "joined-base" in out


def test_a_second_search_in_the_same_place_is_refused_and_the_first_goes_on(
    command: Command, data: Path, tmp_path: Path
) -> None:
    arguments = _arguments(data, tmp_path / "set", "tiny_networks:Joined")
    with subprocess.Popen(
        [sys.executable, "-m", "builder", *map(str, arguments), "--no-report"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).with_name("own"),
    ) as first:
        assert first.stderr is not None
        for line in first.stderr:
            if "joined-base" in line:
                break
        first.send_signal(signal.SIGSTOP)
        second = command(*arguments, "--seed", 7)
        first.send_signal(signal.SIGCONT)
        first.communicate()

    assert second.returncode == 1
    assert "another search is at work there" in second.stderr
    assert first.returncode in {0, 1}
    assert len((tmp_path / "set.work" / "search.jsonl").read_text().splitlines()) == 3
    assert not (tmp_path / "set.work" / "search.1.jsonl").exists()


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (["--budget", 0], "--budget"),
        (["--max-top1-drop", 2], "--max-top1-drop"),
        (["--recipe", "none-such"], "recipe 'none-such'"),
        (["--weights", "resnet34=x.pt"], "'resnet34' is not among"),
    ],
)
def test_wrong_use_is_told_before_anything_is_made(
    command: Command, data: Path, tmp_path: Path, changes: list[object], complaint: str
) -> None:
    done = command(*_arguments(data, tmp_path / "set", "tiny_networks:Joined"), *changes)

    assert done.returncode == 2
    assert complaint in done.stderr
    assert not (tmp_path / "set").exists()
