"""The command `benchmarks/serve.py` as a person runs it, on a tiny network."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from PIL import Image
from rich.console import Console

from benchmarks.lib.photographs import photograph
from benchmarks.lib.serve_report import Served, end_to_end_table, parts_table, spread

ROOT = Path(__file__).parents[2]
NETWORKS = ROOT / "tests" / "builder" / "own"
PROGRAM = ROOT / "benchmarks" / "serve.py"
#: Builder, server and worker each import torch, which takes long where others have the core.
pytestmark = pytest.mark.timeout(600)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROGRAM, *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=NETWORKS,
        timeout=540,
    )


def test_each_size_is_timed_and_its_parts_are_within_the_whole(tmp_path: Path) -> None:
    finished = run(
        "--network", "tiny_networks:chain", "--input-size", 16, "--out", tmp_path, "--json",
        "--requests", 12, "--photo", "64x48", "--photo", "320x240", "--fast-decode",
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    served = msgspec.json.decode(finished.stdout, type=Served)
    assert served.variant == "chain-sq8"
    assert served.fast_decode
    assert [(sent.width, sent.height) for sent in served.photographs] == [(64, 48), (320, 240)]
    for sent in served.photographs:
        assert len(sent.samples_ms) == sent.requests == 12
        assert sent.end_to_end == spread(sent.samples_ms)
        assert 0 < sent.inference.p50_ms < sent.end_to_end.p95_ms
        assert sent.rest.p50_ms > 0
    printed = io.StringIO()
    for table in (end_to_end_table(served), parts_table(served)):
        Console(width=120, file=printed).print(table)
    assert printed.getvalue().count("320 x 240") == 2


def test_percentiles_are_those_of_the_samples() -> None:
    assert spread([1.0, 2.0, 3.0]).p99_ms is None
    found = spread([float(i) for i in range(1, 202)])
    assert (found.p50_ms, found.p95_ms, found.p99_ms) == (101.0, 191.0, 199.0)


def test_a_made_photograph_weighs_what_a_camera_s_does() -> None:
    """Between one and three bits a pixel, as JPEG of quality 90 usually has."""
    file = photograph(1280, 960, seed=0)
    assert Image.open(io.BytesIO(file)).size == (1280, 960)
    assert 1.0 < len(file) * 8 / (1280 * 960) < 3.0


def test_a_size_that_is_none_is_wrong_use() -> None:
    finished = run("--photo", "large")
    assert finished.returncode == 2
    assert "1280x960" in finished.stderr
