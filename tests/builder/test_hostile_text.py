"""The builder's commands over folders and bundles that bring hostile texts."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builder.cli import cli
from support.hostile import HOSTILE, HOSTILE_NAME, PLAIN_END, unfit
from support.tiny_bundles import SetMaker

Command = Callable[..., subprocess.CompletedProcess[str]]
COMMANDS = ["build", "inspect", "list", "report", "search", "train"]


@pytest.fixture(scope="module")
def hostile_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set whose bundles bring hostile texts, one of them damaged."""
    folder = tmp_path_factory.mktemp("set") / HOSTILE_NAME
    folder.mkdir()
    maker = SetMaker(folder)
    maker.add("tiny-base", words=HOSTILE)
    maker.add("tiny-odd", words="=" + HOSTILE)
    damaged = maker.add("tiny-damaged")
    maker.finish()
    damaged.write_bytes(b"no bundle")
    return folder


@pytest.fixture(scope="module")
def hostile_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes and a broken image, all of hostile names."""
    root = tmp_path_factory.mktemp("data") / HOSTILE_NAME
    noise = np.random.default_rng(0)
    for split in ("train", "val"):
        for label in (HOSTILE_NAME, f"b{HOSTILE_NAME}"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(4):
                pixels = noise.integers(0, 255, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
            (folder / f"{HOSTILE_NAME}.png").write_bytes(b"no image")
    return root


def test_these_are_all_commands() -> None:
    assert sorted(cli.commands) == COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_repeats_an_argument_as_it_came(name: str, command: Command) -> None:
    for words in ([f"--{HOSTILE}"], [HOSTILE, f"{HOSTILE}\udcff"], ["tiny_networks:" + HOSTILE]):
        done = command(name, *words)
        assert done.returncode != 0
        assert not unfit(done.stdout + done.stderr)


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize("name", ["list", "report", "inspect"])
def test_looking_at_a_bundle_shows_its_words_as_text(
    name: str, options: list[str], command: Command, hostile_set: Path
) -> None:
    more = {"list": [], "report": ["--no-timing"], "inspect": []}[name]
    target = hostile_set / "tiny-base.pt" if name == "inspect" else hostile_set
    done = command(name, target, *more, *options)
    assert done.returncode == (0 if name == "inspect" else 1)
    assert not unfit(done.stdout + done.stderr)
    if options:
        told = json.dumps(json.loads(done.stdout))
        whole = hostile_set.name if name == "report" else HOSTILE
        assert json.dumps(whole)[1:-1] in told
    if name == "inspect" and not options:
        assert "mini [v2]" in done.stdout


def test_the_reports_csv_has_no_formula_and_hides_nothing(
    command: Command, hostile_set: Path
) -> None:
    command("report", hostile_set, "--no-timing")
    content = (hostile_set / "report.csv").read_bytes().decode()
    assert not unfit(content, allowed="\n\r\t")
    rows = list(csv.reader(content.splitlines(keepends=True)))
    assert len(rows) == 1 + 2
    assert not any(cell.startswith("=") for row in rows for cell in row)


def test_building_from_a_hostile_folder_says_so_in_lines_of_its_own(
    command: Command, hostile_data: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / f"{HOSTILE_NAME}.toml"
    recipe.write_text('name = "one"\n[[variants]]\n')
    done = command(
        "build", "tiny_networks:chain", "--data", hostile_data, "--out", tmp_path / HOSTILE_NAME,
        "--recipe", recipe, "--weights", "none", "--input-size", 16, "--no-report",
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert PLAIN_END.replace("/", "_") in done.stderr
    assert not unfit(done.stdout + done.stderr)


def test_training_on_a_hostile_folder_says_so_in_lines_of_its_own(
    command: Command, hostile_data: Path, tmp_path: Path
) -> None:
    for options in ([], ["--json"]):
        done = command(
            "train", "tiny_networks:chain", "--data", hostile_data, "--epochs", 1,
            "--out", tmp_path / f"{HOSTILE_NAME}.pt", "--input-size", 16, *options,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        assert not unfit(done.stdout + done.stderr)
