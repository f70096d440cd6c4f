"""The command line, as a user meets it: real processes, real bundles."""

from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec

from contract.benchmark import BenchRun, RunStatus

QUICK = ("--min-seconds", "0.1", "--min-runs", "6")


def agent(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    command = ["edgewright-agent", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_bench_prints_one_list_of_runs_with_the_baseline_first(good_set: Path) -> None:
    """JSON on stdout is a list of BenchRuns with figures, speed-up against the baseline."""
    done = agent("bench", good_set, "--json", *QUICK)
    assert done.returncode == 0, done.stderr
    runs = msgspec.json.decode(done.stdout, type=list[BenchRun])
    assert [run.variant for run in runs] == ["tiny-base", "tiny-dq8", "tiny-sq8"]
    base, dynamic, static = runs
    for run in runs:
        assert run.status is RunStatus.OK, run.reason
        assert run.golden is not None
        assert run.golden.ok
        assert run.p50_ms is not None
        assert run.ci_low_ms is not None
        assert run.ci_high_ms is not None
        assert run.ci_low_ms <= run.p50_ms <= run.ci_high_ms
        assert run.speedup == base.p50_ms / run.p50_ms if base.p50_ms else None
        assert run.baseline_rss_bytes is not None
        assert run.peak_rss_bytes is not None
        assert run.peak_rss_bytes >= run.baseline_rss_bytes > 50_000_000
        assert len(run.samples_ms) == min(run.n, 4096)
    assert base.speedup == 1.0
    assert base.engine is None
    assert static.engine is not None
    assert len({run.sweep_id for run in runs}) == 1
    assert len({run.run_id for run in runs}) == 3
    assert dynamic.top1_drop is not None
    assert abs(dynamic.top1_drop - 0.01) < 1e-9


def test_bench_without_json_prints_a_table_of_every_variant(good_set: Path) -> None:
    """The table names every variant and its figures' columns."""
    done = agent("bench", good_set, *QUICK)
    assert done.returncode == 0, done.stderr
    for word in (
        "tiny-base",
        "tiny-dq8",
        "tiny-sq8",
        "p50",
        "p95",
        "peak",
        "parameters",
        "top-1",
        "ok",
    ):
        assert word in done.stdout
