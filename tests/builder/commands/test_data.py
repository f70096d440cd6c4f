"""`--data` by the name of a known data set."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest


def test_a_data_set_that_was_fetched_before_is_used_by_its_name(
    command: Callable[..., subprocess.CompletedProcess[str]],
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "edgewright").mkdir()
    (tmp_path / "edgewright" / "cifar10").symlink_to(data)

    done = command(
        "train", "tiny_networks:chain", "--data", "cifar10", "--epochs", 1, "--input-size", 16,
        "--out", tmp_path / "chain.pt", "--json",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["accuracy"]["images"] == 12


def test_a_name_that_is_no_folder_and_no_known_data_set_is_wrong_use(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = command(
        "train", "tiny_networks:chain", "--data", "cifar11", "--epochs", 1,
        "--out", tmp_path / "chain.pt",
    )  # fmt: skip

    assert done.returncode == 2
    assert "data folder cifar11: no such folder" in done.stderr
