"""Number formats of variants, through whole builds: budgets, what stays in floats, bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder.outcome import Outcome, Status
from contract.manifest import Manifest, Scheme

Build = Callable[..., list[Outcome]]

RECIPE = """
name = "numbers"
[quantization]
calibration_images = 12
{budget}
[[variants]]
[[variants]]
quantize = "static-int8"
[[variants]]
quantize = "bf16"
"""


@pytest.fixture
def manifests(build: Build, tmp_path: Path) -> Callable[[str], dict[str, Manifest]]:
    """Build base, static INT8 and bfloat16 of `Joined` within a budget."""

    def run(budget: str) -> dict[str, Manifest]:
        path = tmp_path / "numbers.toml"
        path.write_text(RECIPE.format(budget=budget))
        outcomes = build("Joined", out=tmp_path / "set", recipe=str(path))
        assert {outcome.status for outcome in outcomes} == {Status.BUILT}
        return {o.variant: o.manifest for o in outcomes if o.manifest is not None}

    return run


def test_bfloat16_halves_the_weights_and_says_so(
    manifests: Callable[[str], dict[str, Manifest]],
) -> None:
    built = manifests("")

    base, narrow = built["joined-base"], built["joined-bf16"]
    assert narrow.quantization.scheme is Scheme.BF16
    assert narrow.quantization.engine is None
    assert narrow.state_dict_bytes < 0.6 * base.state_dict_bytes
    assert abs(narrow.accuracy.top1 - base.accuracy.top1) < 0.2


def test_within_a_budget_that_holds_every_layer_is_in_int8(
    manifests: Callable[[str], dict[str, Manifest]],
) -> None:
    quantization = manifests("max_top1_drop = 0.9")["joined-sq8"].quantization

    assert quantization.float_layers == []
    assert quantization.int8_mac_share == pytest.approx(1.0)
    assert quantization.calibration_images == 12
