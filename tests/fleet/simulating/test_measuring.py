"""Runs of simulated boxes: the law, seen through noise."""

from __future__ import annotations

import statistics

import msgspec
import pytest

from contract.benchmark import BenchRun, RunStatus
from fleet.simulating.classes import device_classes
from fleet.simulating.devices import DeviceLaw
from fleet.simulating.laws import true_figures
from fleet.simulating.measuring import measure
from fleet.simulating.variants import catalogue

KINDS = {one.name: one for one in device_classes()}
VARIANTS = {one.name: one for one in catalogue()}
BOX = DeviceLaw(device="box", kind=KINDS["rpi4"], ram_bytes=4_000_000_000)
VARIANT = VARIANTS["resnet18-sq8"]
TRUE = true_figures(BOX, VARIANT, 1)


def many(count: int, *, keeps_samples: bool) -> list[BenchRun]:
    return [
        measure(BOX, VARIANT, 1, seed, samples=100, keeps_samples=keeps_samples)
        for seed in range(count)
    ]


def test_the_same_seed_gives_the_same_run_and_another_one_another() -> None:
    assert measure(BOX, VARIANT, 1, 3) == measure(BOX, VARIANT, 1, 3)
    assert measure(BOX, VARIANT, 1, 3).run_id != measure(BOX, VARIANT, 1, 4).run_id


@pytest.mark.parametrize("keeps_samples", [True, False])
def test_many_runs_find_the_truth(*, keeps_samples: bool) -> None:
    runs = many(300, keeps_samples=keeps_samples)
    medians = [one.p50_ms for one in runs if one.p50_ms is not None]
    tails = [one.p95_ms for one in runs if one.p95_ms is not None]
    assert statistics.fmean(medians) == pytest.approx(TRUE.p50_ms, rel=0.01)
    assert statistics.fmean(tails) == pytest.approx(TRUE.p95_ms, rel=0.02)


@pytest.mark.parametrize("keeps_samples", [True, False])
def test_the_interval_holds_the_truth_most_of_the_time(*, keeps_samples: bool) -> None:
    runs = many(300, keeps_samples=keeps_samples)
    held = [
        one.ci_low_ms <= TRUE.p50_ms <= one.ci_high_ms
        for one in runs
        if one.ci_low_ms is not None and one.ci_high_ms is not None
    ]
    assert len(held) == 300
    assert 0.85 < sum(held) / 300 < 1.0


@pytest.mark.parametrize("keeps_samples", [True, False])
def test_a_run_follows_the_contract_and_its_figures_are_in_order(*, keeps_samples: bool) -> None:
    run = measure(BOX, VARIANT, 4, 1, at=1_700_000_000.0, keeps_samples=keeps_samples)
    assert msgspec.json.decode(msgspec.json.encode(run), type=BenchRun) == run
    assert run.golden is not None
    assert run.golden.ok
    figures = (run.ci_low_ms, run.p50_ms, run.p90_ms, run.p95_ms)
    assert list(figures) == sorted(figures, key=float)  # type: ignore[arg-type]
    assert len(run.samples_ms) == (run.n if keeps_samples else 0)


def test_a_variant_that_does_not_fit_is_a_result_too() -> None:
    small = msgspec.structs.replace(BOX, ram_bytes=1_000_000_000)
    run = measure(small, VARIANTS["vgg19-base"], 1, 1)
    assert run.status is RunStatus.OOM
    assert run.p50_ms is None
    assert "out of memory" in (run.reason or "")


def test_energy_is_told_where_the_box_counts_it() -> None:
    x86 = DeviceLaw(device="x86", kind=KINDS["n100"], ram_bytes=8_000_000_000)
    assert measure(BOX, VARIANT, 1, 1).energy_mj is None
    assert (measure(x86, VARIANT, 1, 1).energy_mj or 0.0) > 0.0


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="samples 11: expected at least 12"):
        measure(BOX, VARIANT, 1, 1, samples=11)
