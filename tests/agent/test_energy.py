"""Energy counters: wrapping, refusing, standing still."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.boxfacts import read_box
from agent.probes.rapl import EnergyMeter, per_inference_mj, refuses
from support.trees import Commands, tree, write

PACKAGE = "sys/class/powercap/intel-rapl:0"
RANGE = 1_000_000


def counting(root: Path, microjoules: int, *, zone: str = PACKAGE, name: str = "package-0") -> Path:
    return write(
        root,
        {
            f"{zone}/name": f"{name}\n",
            f"{zone}/energy_uj": f"{microjoules}\n",
            f"{zone}/max_energy_range_uj": f"{RANGE}\n",
        },
    )


def test_energy_is_the_growth_of_the_counter(tmp_path: Path) -> None:
    meter = EnergyMeter(counting(tmp_path, 100))
    counting(tmp_path, 500_100)
    assert meter.joules() == 0.5
    assert per_inference_mj(meter.joules(), 20) == 25.0
    assert per_inference_mj(None, 20) is None


def test_a_counter_that_started_again_goes_on_from_its_range(tmp_path: Path) -> None:
    meter = EnergyMeter(counting(tmp_path, 900_000))
    counting(tmp_path, 150_000)
    assert meter.joules() == 0.25


def test_a_counter_that_fell_back_without_a_range_tells_nothing(tmp_path: Path) -> None:
    meter = EnergyMeter(counting(tmp_path, 900_000))
    (tmp_path / PACKAGE / "max_energy_range_uj").unlink()
    meter = EnergyMeter(tmp_path)
    write(tmp_path, {f"{PACKAGE}/energy_uj": "150000"})
    assert meter.joules() is None


def test_a_counter_that_stands_still_tells_nothing(tmp_path: Path) -> None:
    """Some hypervisors show one that never moves: no inference takes no energy."""
    meter = EnergyMeter(counting(tmp_path, 100))
    assert meter.is_told
    assert meter.joules() is None


def test_packages_add_up_and_their_parts_and_the_whole_box_do_not(tmp_path: Path) -> None:
    second = "sys/class/powercap/intel-rapl:1"
    counting(tmp_path, 0)
    counting(tmp_path, 0, zone=second, name="package-1")
    for place, name in (("intel-rapl:0:0", "core"), ("intel-rapl:2", "psys")):
        counting(tmp_path, 0, zone=f"sys/class/powercap/{place}", name=name)
    counting(tmp_path, 0, zone="sys/class/powercap/intel-rapl-mmio:0")
    meter = EnergyMeter(tmp_path)
    for path in (tmp_path / "sys/class/powercap").glob("*/energy_uj"):
        path.write_text("250000")
    assert meter.joules() == 0.5


def test_a_package_that_comes_or_goes_meanwhile_makes_the_sum_unknown(tmp_path: Path) -> None:
    meter = EnergyMeter(counting(tmp_path, 0))
    counting(tmp_path, 5, zone="sys/class/powercap/intel-rapl:1", name="package-1")
    write(tmp_path, {f"{PACKAGE}/energy_uj": "10"})
    assert meter.joules() is None


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Without root's right to read everything, where the test has it."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_counters_for_root_alone_are_none_and_said_to_be_refused() -> None:
    """The kernel's default since CVE-2020-8694."""
    # pytest's own folders are closed to others.
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        root = folder / "box"
        shutil.copytree(tree("x86-laptop"), root, symlinks=True)
        for path in root.glob("sys/class/powercap/*/energy_uj"):
            path.chmod(0o000)
        with nobody():
            meter = EnergyMeter(root)
            facts = read_box(root, {}, run=Commands(root))
            assert not meter.is_told
            assert meter.joules() is None
            assert refuses(root)
        assert facts.energy_source is None
        why = {one.what: one.why for one in facts.untold}
        assert why["energy per inference"] == "its RAPL counters are for root alone"


@pytest.mark.parametrize("content", ["", "-5", "nonsense", "12 34", "\x00\xff"])
def test_a_damaged_counter_tells_nothing(tmp_path: Path, content: str) -> None:
    write(counting(tmp_path, 1), {f"{PACKAGE}/energy_uj": content})
    meter = EnergyMeter(tmp_path)
    assert not meter.is_told
    assert meter.joules() is None
