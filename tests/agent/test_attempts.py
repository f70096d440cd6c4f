"""Preparations and how the agent falls back, on real networks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from agent.bench import Effort, observe
from agent.bundles import open_shelf
from agent.errors import UnsupportedNetworkError
from agent.supervisor import Limits, Supervisor
from agent.torchscript import choose_engine
from contract.benchmark import RunStatus
from support.tiny_bundles import CLASSES, SetMaker


class Upscaling(torch.nn.Module):
    """Pools to a larger size, as VGG does for inputs below 224 px; oneDNN cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, stride=4)
        self.pool = torch.nn.AdaptiveAvgPool2d(7)
        self.head = torch.nn.Linear(8 * 49, CLASSES)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.head(self.pool(torch.relu(self.conv(images))).flatten(1))


def test_a_network_that_cannot_be_optimised_is_measured_without(
    set_maker: Callable[[], SetMaker],
) -> None:
    """It runs, and a note says what was left out and why."""
    maker = set_maker()
    torch.manual_seed(1)
    maker.add("tiny-base", Upscaling().eval())
    shelf = open_shelf(maker.finish())
    seen = observe(
        shelf,
        shelf.bundles[0],
        threads=1,
        effort=Effort(min_seconds=0.05),
        supervisor=Supervisor(Limits(timeout_s=60)),
    )
    assert seen.outcome is not None
    assert seen.outcome.status is RunStatus.OK, seen.outcome.reason
    (note,) = seen.notes
    assert note.startswith("not optimized: ")


def test_a_quantized_bundle_runs_on_its_own_engine_where_there_is_one() -> None:
    """Its numerics were proven there."""
    assert choose_engine("x86", ["qnnpack", "onednn", "x86"]) == "x86"


def test_the_engine_with_the_nearest_numerics_stands_in() -> None:
    """On ARM, x86 bundles match to the bit on onednn and nearly on qnnpack."""
    assert choose_engine("x86", ["qnnpack", "onednn"]) == "onednn"
    assert choose_engine("x86", ["qnnpack"]) == "qnnpack"
    assert choose_engine(None, ["fbgemm"]) == "fbgemm"


def test_without_any_engine_a_quantized_bundle_is_unsupported() -> None:
    """The message names the engine and the way out."""
    with pytest.raises(UnsupportedNetworkError, match=r"no x86 engine.*use an FP32 variant"):
        choose_engine("x86", [])
