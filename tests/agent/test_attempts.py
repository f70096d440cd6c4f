"""Preparations and how the agent falls back, on real networks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from agent.attempts import Contest
from agent.bench import Effort, median_ms, observe
from agent.bundles import open_shelf
from agent.errors import UnsupportedNetworkError
from agent.protocol import Loaded, Measured, Preparation
from agent.supervisor import Limits, Outcome, Supervisor
from agent.torchscript import choose_engine
from contract.benchmark import RunStatus
from contract.manifest import Scheme
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
        contest=Contest(median_ms),
    )
    assert seen.outcome is not None
    assert seen.outcome.status is RunStatus.OK, seen.outcome.reason
    (note,) = seen.notes
    assert note.startswith("not optimized: ")


class Narrow(torch.nn.Module):
    """Computes in bfloat16 between inputs and logits in FP32."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Upscaling().bfloat16()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits."""
        return self.inner(images.bfloat16()).float()


def test_bfloat16_is_frozen_and_needs_no_integer_engine(
    set_maker: Callable[[], SetMaker],
) -> None:
    """Nothing is tried that fails, and no engine is told."""
    maker = set_maker()
    torch.manual_seed(1)
    maker.add("tiny-base", Upscaling().eval())
    maker.add("tiny-bf16", Narrow().eval(), scheme=Scheme.BF16)
    shelf = open_shelf(maker.finish())
    seen = observe(
        shelf,
        next(bundle for bundle in shelf.bundles if bundle.manifest.variant == "tiny-bf16"),
        threads=1,
        effort=Effort(min_seconds=0.05),
        supervisor=Supervisor(Limits(timeout_s=60)),
        contest=Contest(median_ms),
    )
    assert seen.outcome is not None
    assert seen.outcome.status is RunStatus.OK, seen.outcome.reason
    assert seen.notes == []
    loaded = next(event for event in seen.outcome.events if isinstance(event, Loaded))
    assert loaded.engine is None


def outcome_of(median: float) -> Outcome:
    """An outcome as a worker reports it, with three samples."""
    measured = Measured(
        samples_ms=[median] * 3,
        preprocess_ms=0.1,
        postprocess_ms=0.1,
        steady_rss_bytes=1,
        peak_rss_bytes=1,
        foreign_load=None,
    )
    return Outcome(
        status=RunStatus.OK,
        reason=None,
        events=[measured],
        duration_s=1.0,
        seen_rss_bytes=1,
        limit_kind=None,
    )


@pytest.mark.parametrize(
    ("optimized_ms", "frozen_ms", "kept_ms", "later_attempts"),
    [(5.0, 8.0, 5.0, [Preparation.OPTIMIZED]), (8.0, 5.0, 5.0, [Preparation.FROZEN])],
)
def test_the_faster_preparation_is_kept_and_taken_for_later_variants_of_the_kind(
    set_maker: Callable[[], SetMaker],
    optimized_ms: float,
    frozen_ms: float,
    kept_ms: float,
    later_attempts: list[Preparation],
) -> None:
    """Both are measured once; the slower one is a note."""
    maker = set_maker()
    maker.add("tiny-base", Upscaling().eval())
    manifest = open_shelf(maker.finish()).bundles[0].manifest
    latencies = {Preparation.OPTIMIZED: optimized_ms, Preparation.FROZEN: frozen_ms}
    attempts: list[Preparation] = []

    def attempt(preparation: Preparation) -> Outcome:
        attempts.append(preparation)
        return outcome_of(latencies[preparation])

    contest = Contest(median_ms)
    outcome, notes = contest.run(manifest, 1, attempt)
    assert attempts == [Preparation.OPTIMIZED, Preparation.FROZEN]
    assert median_ms(outcome) == kept_ms
    assert [note.partition(":")[0] for note in notes] == (
        ["not optimized"] if kept_ms == frozen_ms else []
    )

    attempts.clear()
    contest.run(manifest, 1, attempt)
    assert attempts == later_attempts


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
