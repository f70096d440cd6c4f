"""`edgewright-builder report` on a real set."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.outcome import Outcome

Command = Callable[..., subprocess.CompletedProcess[str]]

RECIPE = 'name = "two"\n[[variants]]\n[[variants]]\nquantize = "dynamic-int8"\n'
FILES = ["report.csv", "report.html", "report.json"]


@pytest.fixture(scope="module")
def untouched(
    build: Callable[..., list[Outcome]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A set of `chain-base` and `chain-dq8`."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "two.toml").write_text(RECIPE)
    build("chain", out=folder / "set", recipe=str(folder / "two.toml"))
    return folder / "set"


@pytest.fixture(scope="module")
def reported(
    command: Command, untouched: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A copy that was reported on once, and what that printed."""
    folder = tmp_path_factory.mktemp("reported") / "set"
    shutil.copytree(untouched, folder)
    return folder, command("report", folder)


@pytest.fixture
def bundles(untouched: Path, tmp_path: Path) -> Path:
    """A copy that a test may write into."""
    return Path(shutil.copytree(untouched, tmp_path / "set"))


def _reports(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("report"))


def test_report_times_the_set_writes_three_files_and_shows_the_front(
    reported: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = reported

    assert done.returncode == 0, done.stderr
    assert _reports(folder) == FILES
    assert done.stdout.rstrip().splitlines()[-1] == str(folder / "report.html")
    for column in ("variant", "top-1", "p50 ms", "time saved", "MACs saved", "size MB", "verdict"):
        assert column in done.stdout
    with (folder / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["variant"] for row in rows] == ["chain-base", "chain-dq8"]
    assert all(float(row["p50_ms"]) > 0 for row in rows)
    assert float(rows[0]["speedup_ratio"]) == 1.0


def test_a_second_report_takes_the_timings_of_the_first_and_a_fresh_one_does_not(
    command: Command, reported: tuple[Path, subprocess.CompletedProcess[str]]
) -> None:
    folder, done = reported
    timings = folder.with_name("set.work") / "timings.json"
    before = timings.read_bytes()

    again = command("report", folder)

    assert timings.read_bytes() == before
    assert (again.returncode, again.stdout, again.stderr) == (0, done.stdout, "")

    command("report", folder, "--fresh")

    assert timings.read_bytes() != before


def test_json_is_one_document_and_what_stands_in_the_file(command: Command, bundles: Path) -> None:
    done = command("report", bundles, "--no-timing", "--json")

    assert done.returncode == 0
    assert json.loads(done.stdout) == json.loads((bundles / "report.json").read_bytes())
    assert json.loads(done.stdout)["host"] is None


def test_without_timing_nothing_runs_and_torch_is_not_even_imported(bundles: Path) -> None:
    check = (
        "import sys\n"
        "sys.modules['torch'] = None\n"
        "from click.testing import CliRunner\n"
        "from builder.cli import cli\n"
        "result = CliRunner().invoke(cli, ['report', sys.argv[1], '--no-timing'])\n"
        "assert result.exit_code == 0, result.output\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", check, str(bundles)], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert _reports(bundles) == FILES
    assert "Nothing was timed on this host" in (bundles / "report.html").read_text()


def test_a_build_ends_with_a_report_on_its_set(
    command: Command, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "one.toml").write_text('name = "one"\n[[variants]]\n')

    done = command(
        "build", "tiny_networks:chain", "--data", data, "--out", tmp_path / "set",
        "--recipe", tmp_path / "one.toml", "--weights", "none", "--input-size", 16,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert all((tmp_path / "set" / file).is_file() for file in FILES)


def test_without_labels_the_report_speaks_of_agreement(
    command: Command, build: Callable[..., list[Outcome]], flat_data: Path, tmp_path: Path
) -> None:
    (tmp_path / "two.toml").write_text(RECIPE)
    build("chain", out=tmp_path / "set", root=flat_data, recipe=str(tmp_path / "two.toml"))

    done = command("report", tmp_path / "set", "--no-timing")

    assert done.returncode == 0, done.stderr
    page = (tmp_path / "set/report.html").read_text()
    assert "agreement with the base" in page
    assert "8 images without labels" in page


def test_a_damaged_bundle_is_left_out_and_noted(command: Command, bundles: Path) -> None:
    (bundles / "chain-dq8.pt").write_bytes(b"cut short")

    done = command("report", bundles, "--no-timing", "--json")

    document = json.loads(done.stdout)
    assert done.returncode == 1
    assert [e["variant"] for e in document["entries"]] == ["chain-base"]
    assert "Left out, because the bundles are damaged: chain-dq8." in document["notes"]
    assert "chain-dq8.pt" in done.stderr


@pytest.mark.parametrize("content", [None, "{}"])
def test_what_is_no_set_ends_with_1_and_one_line(
    command: Command, tmp_path: Path, content: str | None
) -> None:
    if content is not None:
        (tmp_path / "set.json").write_text(content)

    done = command("report", tmp_path)

    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(tmp_path) in done.stderr
    assert _reports(tmp_path) == []


def test_an_empty_set_says_that_there_is_nothing_to_report(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "set.json").write_text('{"schema": 1, "baseline": "a", "members": []}')

    done = command("report", tmp_path)

    assert done.returncode == 1
    assert "expected at least one readable bundle, got none" in done.stderr


def test_an_option_that_is_not_there_ends_with_2(command: Command, bundles: Path) -> None:
    assert command("report", bundles, "--quick").returncode == 2
