"""This host's processor, on recorded `/proc` trees."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import pytest

from builder.measuring.host import cpu_model, keep_to_idlest_core


@pytest.mark.parametrize(
    ("content", "model"),
    [
        (
            "processor\t: 0\nmodel name\t: AMD EPYC 9R45\nprocessor\t: 1\nmodel name\t: Other\n",
            "AMD EPYC 9R45",
        ),
        (
            "processor\t: 0\nCPU part\t: 0xd0b\n\nModel\t: Raspberry Pi 5 Model B Rev 1.0\n",
            "Raspberry Pi 5 Model B Rev 1.0",
        ),
        ("processor\t: 0\nCPU part\t: 0xd0c\n", "0xd0c"),
        ("", platform.machine()),
    ],
)
def test_the_processor_is_named_by_whatever_names_it(
    tmp_path: Path, content: str, model: str
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(content)

    assert cpu_model(tmp_path) == model


def test_a_host_that_tells_nothing_is_named_by_its_architecture(tmp_path: Path) -> None:
    assert cpu_model(tmp_path) == platform.machine()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this OS pins no processes")
def test_the_process_is_held_to_one_core_of_those_it_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    try:
        core = keep_to_idlest_core()

        assert core in allowed
        assert os.sched_getaffinity(0) == {core}
    finally:
        os.sched_setaffinity(0, allowed)
