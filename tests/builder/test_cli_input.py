"""How images become input, from the command line to the manifest."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from builder.cli import cli
from contract.bundle import GOLDEN_IMAGES, GOLDEN_LOGITS, GOLDEN_NAME, read_extra
from contract.bundleset import read_set

Command = Callable[..., subprocess.CompletedProcess[str]]

TWO = 'name = "two"\n[[variants]]\n[[variants]]\nquantize = "static-int8"\n'
OWN = ["--mean", "0.4,0.5,0.6", "--std", "0.5,0.25,1"]


@pytest.fixture
def build(command: Command, data: Path, tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    """Build a network and return the manifests."""
    recipe = tmp_path / "two.toml"
    recipe.write_text(TWO)

    def run(network: str, *options: object) -> list[dict[str, Any]]:
        done = command(
            "build", network, "--data", data, "--out", tmp_path / "set", "--recipe", recipe,
            "--no-report", "--json", *options,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def _standardized(documents: list[dict[str, Any]]) -> set[tuple[object, ...]]:
    rules = [document["preprocessing"] for document in documents]
    return {(rule["input_size"], *rule["mean"], *rule["std"]) for rule in rules}


def test_a_mean_and_deviation_of_ones_own_reach_the_network_and_the_manifest(
    build: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    options = ["--weights", "none", "--input-size", 16]

    documents = build("tiny_networks:chain", *options, *OWN)

    assert len(documents) == 2
    assert _standardized(documents) == {(16, 0.4, 0.5, 0.6, 0.5, 0.25, 1.0)}
    bundle = tmp_path / "set" / "chain-base.pt"
    golden = _golden(bundle)
    scaled = torch.from_numpy(golden[GOLDEN_IMAGES]).permute(0, 3, 1, 2) / 255
    mean, std = torch.tensor([0.4, 0.5, 0.6]), torch.tensor([0.5, 0.25, 1.0])
    inputs = (scaled - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    logits = torch.from_numpy(golden[GOLDEN_LOGITS])
    torch.testing.assert_close(torch.jit.load(bundle)(inputs), logits)
    shown = CliRunner().invoke(cli, ["inspect", str(bundle)]).output
    assert "mean 0.4,0.5,0.6 and deviation 0.5,0.25,1" in shown
    # Built again with ImageNet's, nothing of that is taken up.
    before = {member.sha256 for member in read_set(tmp_path / "set").members}
    assert _standardized(build("tiny_networks:chain", *options)) != _standardized(documents)
    assert not before & {member.sha256 for member in read_set(tmp_path / "set").members}


def test_what_a_network_says_of_itself_is_taken(
    build: Callable[..., list[dict[str, Any]]],
) -> None:
    (rule, *_) = [
        document["preprocessing"]
        for document in build("declaring_networks:declaring", "--weights", "none")
    ]

    assert (rule["input_size"], rule["resize_size"], rule["interpolation"]) == (24, 32, "bicubic")
    assert (rule["mean"], rule["std"]) == ([0.5, 0.4, 0.3], [1.0, 1.0, 1.0])


def test_a_build_takes_up_the_input_that_train_used(
    build: Callable[..., list[dict[str, Any]]], command: Command, data: Path, tmp_path: Path
) -> None:
    weights = tmp_path / "chain.pt"
    done = command(
        "train", "tiny_networks:chain", "--data", data, "--epochs", 1, "--out", weights,
        "--input-size", 16, *OWN,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr

    documents = build("tiny_networks:chain", "--weights", weights)

    assert _standardized(documents) == {(16, 0.4, 0.5, 0.6, 0.5, 0.25, 1.0)}


@pytest.mark.parametrize("name", ["train", "build", "search"])
@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--mean", "0.5,0.5", "--std", "1,1,1"], "'--mean': expected three numbers"),
        (["--mean", "0.5,a,0.5", "--std", "1,1,1"], "one for each of R,G,B, got 0.5,a,0.5"),
        (["--mean", "124,116,104", "--std", "1,1,1"], "expected numbers from 0 to 1"),
        (["--mean", "0.5,0.5,0.5", "--std", "1,0,1"], "'--std': expected numbers above 0"),
        (["--mean", "0.5,0.5,0.5"], "--mean and --std go together"),
    ],
)
def test_a_wrong_mean_or_deviation_is_wrong_use(
    name: str, options: list[str], reason: str, data: Path, tmp_path: Path
) -> None:
    epochs = ["--epochs", "1"] if name == "train" else []
    arguments = [name, "resnet18", "--data", str(data), "--out", str(tmp_path / "out")]

    done = CliRunner().invoke(cli, [*arguments, *epochs, *options])

    assert done.exit_code == 2
    # Without the breaks and the frame that lines get.
    assert reason in " ".join(done.output.replace("│", " ").split())


def _golden(path: Path) -> dict[str, Any]:
    with np.load(io.BytesIO(read_extra(path, GOLDEN_NAME))) as arrays:
        return {name: arrays[name] for name in arrays.files}
