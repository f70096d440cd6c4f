"""The catalogue of simulated variants."""

from __future__ import annotations

import re

import pytest

from contract.manifest import VARIANT_PATTERN
from fleet.simulating.variants import BASELINE, bundle_set, catalogue

VARIANTS = {one.name: one for one in catalogue()}


@pytest.mark.parametrize(
    ("name", "giga_macs", "mega_parameters"),
    [
        ("resnet18-base", 1.81, 11.7),
        ("resnet34-base", 3.66, 21.8),
        ("resnet50-base", 4.09, 25.5),
        ("vgg19-base", 19.6, 143.7),
    ],
)
def test_work_and_weights_follow_from_the_papers_tables(
    name: str, giga_macs: float, mega_parameters: float
) -> None:
    assert VARIANTS[name].macs / 1e9 == pytest.approx(giga_macs, rel=0.01)
    assert VARIANTS[name].parameters / 1e6 == pytest.approx(mega_parameters, rel=0.01)


def test_names_are_those_of_the_contract_and_none_is_there_twice() -> None:
    assert len(VARIANTS) == len(catalogue()) >= 20
    assert all(re.fullmatch(VARIANT_PATTERN, name) for name in VARIANTS)
    assert {"vgg19-p30-sq8-r160", "resnet34-sq8", "vgg19-p10-dq8"} <= VARIANTS.keys()


def test_what_a_recipe_saves_it_pays_for_in_accuracy() -> None:
    for better, worse in (("base", "p10"), ("p10", "p30"), ("p30", "p50"), ("base", "sq8")):
        first, second = VARIANTS[f"resnet34-{better}"], VARIANTS[f"resnet34-{worse}"]
        assert first.top1 > second.top1
        assert first.weight_bytes > second.weight_bytes


def test_dynamic_quantization_takes_linear_layers_alone() -> None:
    assert VARIANTS["resnet50-dq8"].int8_mac_share < 0.01
    assert VARIANTS["vgg19-dq8"].weight_bytes < 0.4 * VARIANTS["vgg19-base"].weight_bytes
    assert VARIANTS["resnet50-sq8"].int8_mac_share == 1.0


@pytest.mark.parametrize("count", [1, 7, 20, len(VARIANTS)])
def test_a_bundle_set_has_the_baseline_and_no_variant_twice(count: int) -> None:
    names = {one.name for one in bundle_set(count)}
    assert len(names) == count
    assert BASELINE in names


@pytest.mark.parametrize("count", [0, len(VARIANTS) + 1])
def test_a_bundle_set_has_no_more_than_the_catalogue(count: int) -> None:
    with pytest.raises(ValueError, match=f"variants {count}"):
        bundle_set(count)
