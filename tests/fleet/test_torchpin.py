"""Each kind of box gets the PyTorch that runs on it, or is told why none does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from fleet.errors import UnsuitableBoxError
from fleet.torchpin import BoxPython, torch_pin

PI = BoxPython(machine="aarch64", pointer_bits=64, version=(3, 13), glibc=(2, 41))
SERVER = BoxPython(machine="x86_64", pointer_bits=64, version=(3, 11), glibc=(2, 36))
CONSTRAINTS = Path(__file__).resolve().parents[2] / "constraints.txt"


def test_arm_gets_the_cpu_build_of_pypi_that_a_pi_4_can_run() -> None:
    pin = torch_pin(PI)
    assert pin.requirement == "torch==2.9.1"
    assert pin.is_cpu_on_pypi


def test_x86_gets_the_torch_that_the_tests_run_on_and_needs_a_cpu_build_offered() -> None:
    pin = torch_pin(SERVER)
    assert pin.requirement in CONSTRAINTS.read_text().splitlines()
    assert not pin.is_cpu_on_pypi


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"machine": "armv7l", "pointer_bits": 32}, "got armv7l with a 32-bit Python"),
        # Raspberry Pi OS of 32 bits runs on a kernel of 64.
        ({"pointer_bits": 32}, "got aarch64 with a 32-bit Python"),
        ({"machine": "riscv64"}, "expected aarch64 or x86_64"),
        ({"version": (3, 9)}, "expected 3.11 to 3.14, got 3.9"),
        ({"version": (3, 15)}, "expected 3.11 to 3.14, got 3.15"),
        ({"glibc": (2, 27)}, "expected 2.28 or later, got 2.27"),
        ({"glibc": None}, "got another C library"),
    ],
)
def test_a_box_that_no_wheel_fits_is_told_what_it_would_need(
    change: dict[str, object],
    said: str,
) -> None:
    with pytest.raises(UnsuitableBoxError, match=said):
        torch_pin(dataclasses.replace(PI, **change))  # type: ignore[arg-type]
