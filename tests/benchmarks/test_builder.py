"""The command `benchmarks/builder.py` as a person runs it, on tiny networks."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from benchmarks.lib.report import Report
from benchmarks.lib.tables import heading, remarks, tables
from builder.quantization.engine import Engine, engine_obstacle

ROOT = Path(__file__).parents[2]
NETWORKS = ROOT / "tests" / "builder" / "own"
PROGRAM = ROOT / "benchmarks" / "builder.py"
SIZE = 16
RECIPE = """
name = "two"
[[variants]]
name = "base"
[[variants]]
quantize = "static-int8"
"""
WITH_OTHERS = all(
    importlib.util.find_spec(name) for name in ("onnx", "onnxruntime", "openvino", "nncf")
)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, PROGRAM, *(str(argument) for argument in arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=NETWORKS,
        timeout=240,
    )


@pytest.fixture(scope="module")
def report(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Both parts on a network of residual sums and concatenations."""
    recipe = tmp_path_factory.mktemp("recipe") / "two.toml"
    recipe.write_text(RECIPE)
    finished = run(
        "--json", "--quick", "--rounds", 6, "--against", "none",
        "--networks", "tiny_networks:Joined", "--input-size", SIZE,
        "--data", images, "--accuracy-network", "tiny_networks:chain",
        "--accuracy-input-size", SIZE, "--recipe", recipe, "--out", tmp_path_factory.mktemp("out"),
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return msgspec.json.decode(finished.stdout, type=Report)


def test_speed_and_accuracy_are_two_sections_of_one_document(report: Report) -> None:
    speed, accuracy = report.sections
    assert (speed.network, speed.weights) == ("joined", "random")
    assert accuracy.network == "chain"
    assert all(one.accuracy is None for one in speed.contenders)
    assert all(one.accuracy is not None for one in accuracy.contenders)
    # What this very processor would compute wrongly is told, and all else is there.
    refused = engine_obstacle(Engine.ONEDNN)
    assert all(one.endswith(f"-onednn: {refused}") for one in speed.missed)
    assert (len(speed.missed) > 0) == (refused is not None)
    assert not accuracy.missed


def test_every_variant_has_all_its_figures(report: Report) -> None:
    speed = report.sections[0]
    assert [one.contender for one in speed.contenders][:3] == [
        "base frozen",
        "base optimised",
        "sq8",
    ]
    for one in speed.contenders:
        assert one.latency.calls == 6 * 3
        assert len(one.samples_ms) == 6
        assert one.latency.low_ms is not None
        assert one.latency.low_ms <= one.latency.p50_ms
        assert one.macs > 0
        assert one.bytes > 0
        assert one.build_s is not None


def test_the_bundles_answer_as_the_network_in_torch_does(report: Report) -> None:
    errors = {one.contender: one.logit_error for one in report.sections[0].contenders}
    assert errors["base frozen"] is not None
    assert errors["base frozen"] < 1e-4
    assert errors["sq8"] is not None
    assert 1e-4 < errors["sq8"] < 0.3


def test_each_contender_is_held_against_the_frozen_base(report: Report) -> None:
    for section in report.sections:
        others = {one.contender for one in section.contenders} - {"base frozen"}
        assert {ratio.contender for ratio in section.ratios} == others
        assert {ratio.reference for ratio in section.ratios} == {"base frozen"}


def test_the_tables_name_every_contender_and_the_processor(report: Report) -> None:
    printed = io.StringIO()
    console = Console(width=120, file=printed)
    for section in report.sections:
        for table in tables(section):
            console.print(table)
    text = printed.getvalue()
    lines = [*heading(report), *remarks(report.sections[1])]
    assert all(one.contender in text for part in report.sections for one in part.contenders)
    assert report.processor.model in lines[0]
    assert any("calibrated on 16 images" in line for line in lines)


def test_packages_that_are_missing_end_it_in_one_line() -> None:
    program = (
        "import runpy, sys; sys.modules.update(onnxruntime=None, openvino=None); "
        f"sys.argv = ['builder.py']; runpy.run_path({str(PROGRAM)!r}, run_name='__main__')"
    )
    finished = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 2
    assert len(finished.stderr.splitlines()) == 1
    assert "pip install 'edgewright[bench]'" in finished.stderr


def test_a_stranger_among_the_frameworks_is_wrong_use() -> None:
    finished = run("--against", "onnxruntime,tflite")
    assert finished.returncode == 2
    assert "tflite: expected none, or some of onnxruntime, openvino" in finished.stderr


@pytest.mark.skipif(not WITH_OTHERS, reason="needs edgewright[bench]")
def test_the_other_frameworks_run_the_same_network(images: Path, tmp_path: Path) -> None:
    finished = run(
        "--json", "--only", "speed", "--rounds", 1, "--networks", "tiny_networks:Joined",
        "--input-size", SIZE, "--data", images, "--out", tmp_path,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    section = msgspec.json.decode(finished.stdout, type=Report).sections[0]
    errors = {one.contender: one.logit_error or 0.0 for one in section.contenders}
    for framework in ("onnxruntime", "openvino"):
        assert errors[f"{framework} fp32"] < 1e-4
        assert 1e-4 < errors[f"{framework} int8"] < 0.3
        assert {r.contender for r in section.ratios if r.reference == f"{framework} int8"}
