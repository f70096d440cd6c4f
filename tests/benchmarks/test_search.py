"""The command `benchmarks/search.py` as a person runs it, on a tiny network."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from benchmarks.lib.contest_report import Contest
from benchmarks.lib.contest_tables import print_contest
from benchmarks.lib.standing import Standing

ROOT = Path(__file__).parents[2]
NETWORKS = ROOT / "tests" / "builder" / "own"
PROGRAM = ROOT / "benchmarks" / "search.py"
#: A dozen processes that import torch, which takes long where others have the core.
pytestmark = pytest.mark.timeout(600)
RECIPE = """
name = "four"
[tuning]
epochs = 0
[grid]
prune_ratios = [0.0, 0.5]
quantize = ["fp32", "static-int8"]
"""


def run(images: Path, out: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    recipe = out / "four.toml"
    recipe.write_text(RECIPE)
    options = (
        "--network", "tiny_networks:chain", "--data", images, "--input-size", 16,
        "--recipe", recipe, "--rounds", 6, "--out", out, *arguments,
    )  # fmt: skip
    return subprocess.run(
        [sys.executable, PROGRAM, "--quick", *(str(option) for option in options)],
        capture_output=True,
        text=True,
        check=False,
        cwd=NETWORKS,
        timeout=540,
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("contest")


@pytest.fixture(scope="module")
def contest(images: Path, out: Path) -> Contest:
    finished = run(images, out, "--json")
    assert finished.returncode == 0, finished.stderr
    return msgspec.json.decode(finished.stdout, type=Contest)


def test_the_search_may_try_as_many_variants_as_the_grid_has(contest: Contest) -> None:
    assert contest.budget == 4
    assert contest.tried <= 4
    assert [verdict.variant for verdict in contest.verdicts] == [
        "chain-base", "chain-sq8", "chain-p50", "chain-p50-sq8",
    ]  # fmt: skip
    assert not contest.missed


def test_every_point_of_the_grid_has_one_standing(contest: Contest) -> None:
    assert sum(contest.counts.values()) == len(contest.verdicts)
    standings = [verdict.standing for verdict in contest.verdicts]
    assert contest.counts == {standing: standings.count(standing) for standing in Standing}
    searched = {one.variant for one in contest.entrants if one.in_search}
    for verdict in contest.verdicts:
        assert (verdict.standing is Standing.SAME) == (verdict.variant in searched)


def test_all_variants_of_both_are_timed_in_the_same_rounds(contest: Contest) -> None:
    assert all(len(one.samples_ms) == 6 for one in contest.entrants)
    assert {verdict.variant for verdict in contest.verdicts} == {
        one.variant for one in contest.entrants if one.in_grid
    }
    assert contest.winners.of_grid in {one.variant for one in contest.entrants if one.in_grid}
    assert contest.winners.of_search in {one.variant for one in contest.entrants if one.in_search}


def test_the_tables_name_every_variant_and_the_counts(contest: Contest) -> None:
    printed = io.StringIO()
    print_contest(contest, Console(width=200, file=printed))
    text = printed.getvalue()
    assert all(one.variant in text for one in contest.entrants)
    assert all(f"{contest.counts[standing]} {standing}" in text for standing in Standing)
    assert contest.processor.model in text


def test_what_is_finished_is_used_again_and_a_smaller_budget_takes_the_first_trials(
    images: Path, out: Path, contest: Contest
) -> None:
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.pt")}
    finished = run(images, out, "--json", "--budget", 1)
    assert finished.returncode == 0, finished.stderr
    again = msgspec.json.decode(finished.stdout, type=Contest)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.pt")} == before
    assert [one.variant for one in again.entrants if one.in_search] == ["chain-base"]
    assert len(again.verdicts) == len(contest.verdicts)


def test_a_search_without_images_ends_in_one_line(out: Path, tmp_path: Path) -> None:
    finished = run(tmp_path / "nowhere", out)
    assert finished.returncode in {1, 2}
    assert finished.stderr.splitlines()[-1].startswith("benchmarks/search.py: ")
