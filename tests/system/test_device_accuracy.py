"""What the builder measured on its images, the agent finds again on those in the set."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from contract.benchmark import BenchRun
from support.processes import run

ALL_OF_VAL = 4


def test_the_host_that_built_a_set_answers_as_its_builder_did(bundles: Path) -> None:
    """Image by image, in floats and in integers, on all validation images."""
    done = run(
        "edgewright-agent", "bench", bundles, "--variant", "resnet18-sq8", "--json",
        "--min-seconds", 0.1, "--rounds", 1,
    )  # fmt: skip
    runs = msgspec.json.decode(done, type=list[BenchRun])
    assert [one.variant for one in runs] == ["resnet18-base", "resnet18-sq8"]
    for one in runs:
        assert one.device_images == ALL_OF_VAL
        assert one.device_top1 == pytest.approx(one.top1)
        assert one.device_top3 == pytest.approx(one.top3)
        assert (one.device_gained, one.device_lost) == (0, 0)
