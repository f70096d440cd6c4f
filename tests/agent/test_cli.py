"""The command line, as a user meets it: real processes, real bundles."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from PIL import Image

from agent.comparison import Comparison
from contract.benchmark import BenchRun, RunStatus
from support.processes import program
from support.tiny_bundles import SetMaker

QUICK = ("--min-seconds", "0.1", "--min-runs", "6", "--rounds", "1")


def agent(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = [program("edgewright-agent"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_bench_prints_one_list_of_runs_with_the_baseline_first(good_set: Path) -> None:
    """JSON on stdout is a list of BenchRuns with figures, speed-up against the baseline."""
    done = agent("bench", good_set, "--json", "--min-seconds", "0.1")
    assert done.returncode == 0, done.stderr
    runs = msgspec.json.decode(done.stdout, type=list[BenchRun])
    assert [run.variant for run in runs] == ["tiny-base", "tiny-dq8", "tiny-sq8"]
    base, dynamic, static = runs
    for run in runs:
        assert run.status is RunStatus.OK, run.reason
        assert run.golden is not None
        assert run.golden.ok
        assert run.preparation in {"optimized", "frozen", "as-built"}
        assert run.p50_ms is not None
        assert run.ci_low_ms is not None
        assert run.ci_high_ms is not None
        assert run.ci_low_ms <= run.p50_ms <= run.ci_high_ms
        assert run.speedup == base.p50_ms / run.p50_ms if base.p50_ms else None
        assert run.baseline_rss_bytes is not None
        assert run.peak_rss_bytes is not None
        assert run.peak_rss_bytes >= run.baseline_rss_bytes > 50_000_000
        assert len(run.samples_ms) == min(run.n, 4096)
        assert (run.mode, run.processes) == ("quick", 2)
        assert run.repeatability is not None
        assert run.peak_anonymous_bytes is not None
        assert run.steady_anonymous_bytes is not None
        assert run.steady_rss_bytes is not None
        assert 10_000_000 < run.steady_anonymous_bytes < run.steady_rss_bytes
    assert base.speedup == 1.0
    assert base.engine is None
    assert static.engine is not None
    assert len({run.sweep_id for run in runs}) == 1
    assert len({run.run_id for run in runs}) == 3
    assert dynamic.top1_drop is not None
    assert abs(dynamic.top1_drop - 0.01) < 1e-9


def test_bench_without_json_prints_a_table_of_every_variant(good_set: Path) -> None:
    """The table names every variant and its figures' columns."""
    done = agent("bench", good_set, "--variant", "tiny-sq8", *QUICK)
    assert done.returncode == 0, done.stderr
    for word in (
        "tiny-base",
        "tiny-sq8",
        "p50",
        "p95",
        "peak",
        "parameters",
        "top-1",
        "ok",
    ):
        assert word in done.stdout


@pytest.fixture(scope="module")
def mixed_set(set_maker: Callable[[], SetMaker]) -> Path:
    """Good, edited, truncated, wrong and newer bundles in one set."""
    maker = set_maker()
    maker.add("tiny-base")
    edited = maker.add("tiny-edited")
    truncated = maker.add("tiny-truncated")
    maker.add("tiny-wrong", wrong_golden=True)
    maker.add("tiny-newer", schema=9)
    folder = maker.finish()
    content = bytearray(edited.read_bytes())
    content[3000] ^= 1
    edited.write_bytes(content)
    truncated.write_bytes(truncated.read_bytes()[:5000])
    return folder


def test_bad_bundles_are_reported_and_the_others_still_measured(mixed_set: Path) -> None:
    """Edited: damaged. Wrong logits: wrong-numerics. No readable manifest: named, no figures."""
    done = agent("bench", mixed_set, "--json", *QUICK)
    assert done.returncode == 1
    runs = msgspec.json.decode(done.stdout, type=list[BenchRun])
    assert {run.variant: run.status for run in runs} == {
        "tiny-base": RunStatus.OK,
        "tiny-edited": RunStatus.DAMAGED,
        "tiny-wrong": RunStatus.WRONG_NUMERICS,
    }
    for run in runs:
        if run.status is not RunStatus.OK:
            assert run.reason
            assert run.p50_ms is None
            assert run.speedup is None
    assert "tiny-newer: unreadable" in done.stderr
    assert "schema 9 is newer" in done.stderr
    assert "tiny-truncated: unreadable" in done.stderr


def test_failures_are_readable_in_the_table(mixed_set: Path) -> None:
    """The row says what, a line below says why."""
    done = agent("bench", mixed_set, "--variant", "tiny-edited", "--variant", "tiny-newer", *QUICK)
    assert done.returncode == 1
    assert "damaged" in done.stdout
    assert "another SHA-256" in " ".join(done.stdout.split())
    assert "unreadable" in done.stdout


def test_bench_measures_every_thread_count_against_its_own_baseline(good_set: Path) -> None:
    """Speed-up compares equal thread counts only."""
    done = agent("bench", good_set, "--json", "--threads", "1", "--threads", "2", *QUICK,
                 "--variant", "tiny-sq8")  # fmt: skip
    assert done.returncode == 0, done.stderr
    runs = msgspec.json.decode(done.stdout, type=list[BenchRun])
    assert [(run.variant, run.threads) for run in runs] == [
        ("tiny-base", 1),
        ("tiny-sq8", 1),
        ("tiny-base", 2),
        ("tiny-sq8", 2),
    ]
    for base, static in (runs[:2], runs[2:]):
        assert base.p50_ms is not None
        assert static.p50_ms is not None
        assert static.speedup == base.p50_ms / static.p50_ms


def test_a_limit_below_what_torch_needs_is_an_oom_for_every_variant(good_set: Path) -> None:
    """Facts about the box, recorded with limit and watcher; nothing ran well: exit code 1."""
    done = agent("bench", good_set, "--json", "--memory-limit-mb", "120", *QUICK,
                 "--variant", "tiny-base")  # fmt: skip
    assert done.returncode == 1
    (run,) = msgspec.json.decode(done.stdout, type=list[BenchRun])
    assert run.status is RunStatus.OOM
    assert run.memory_limit_bytes == 120_000_000
    assert run.memory_limit_kind is not None


def test_wrong_use_ends_with_2_and_says_what_is_expected(good_set: Path, tmp_path: Path) -> None:
    """Unknown variant, missing folder, no image, a configuration that is none."""
    done = agent("bench", good_set, "--variant", "vgg")
    assert done.returncode == 2
    assert "expected one of" in done.stderr
    assert agent("bench", tmp_path / "missing").returncode == 2
    assert agent("predict", "--bundles", good_set).returncode == 2
    config = tmp_path / "agent.toml"
    config.write_text('site = "lab"')
    done = agent("run", "--config", config)
    assert done.returncode == 2
    assert "missing required field" in done.stderr


def test_a_folder_that_is_no_bundle_set_ends_with_1(tmp_path: Path) -> None:
    """The message says what was expected and how to make one."""
    done = agent("bench", tmp_path)
    assert done.returncode == 1
    assert "edgewright-builder build" in done.stderr


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Two pictures of noise."""
    rng = np.random.default_rng(0)
    paths = [tmp_path / "one.png", tmp_path / "two.jpg"]
    for path in paths:
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(path)
    return paths


def test_predict_shows_every_image_through_every_variant(
    good_set: Path, pictures: list[Path]
) -> None:
    """Top three with probabilities, time, and speed-up over the baseline, which comes first."""
    done = agent("predict", *pictures, "--bundles", good_set, "--json")
    assert done.returncode == 0, done.stderr
    comparisons = msgspec.json.decode(done.stdout, type=list[Comparison])
    assert [c.image for c in comparisons] == [str(path) for path in pictures]
    for comparison in comparisons:
        assert [o.variant for o in comparison.opinions] == ["tiny-base", "tiny-dq8", "tiny-sq8"]
        base = comparison.opinions[0]
        assert base.speedup == 1.0
        for opinion in comparison.opinions:
            probabilities = [ranked.probability for ranked in opinion.top]
            assert len(probabilities) == 3
            assert probabilities == sorted(probabilities, reverse=True)
            assert opinion.top[0].label == base.top[0].label
            assert opinion.inference_ms is not None


def test_predict_names_bad_images_and_goes_on(
    good_set: Path, pictures: list[Path], tmp_path: Path
) -> None:
    """One good image is enough; with none the exit code is 1."""
    bad = tmp_path / "bad.png"
    bad.write_bytes(pictures[0].read_bytes()[:300])
    options = ("--bundles", good_set, "--variant", "tiny-base")
    done = agent("predict", bad, pictures[0], *options)
    assert done.returncode == 0
    assert f"skipped: {bad}" in done.stderr
    assert "tiny-base" in done.stdout
    done = agent("predict", bad, *options, "--json")
    assert done.returncode == 1
    (comparison,) = msgspec.json.decode(done.stdout, type=list[Comparison])
    assert comparison.error is not None
