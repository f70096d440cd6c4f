"""Plans: which variants are asked for, and what makes two of them differ."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from builder.data.dataset import open_dataset
from builder.data.standardization import Standardization
from builder.deciders import Stage, sources_sha256
from builder.planning import NetworkPlan, plan_networks
from builder.progress import Silence
from builder.quantization.engine import Engine
from builder.recipe import VariantSpec, load_recipe
from builder.request import Settings
from contract.manifest import Scheme

SIZE = 16
SETTINGS = Settings(
    recipe=load_recipe("edgewright"),
    input_size=SIZE,
    finetune_epochs=None,
    seed=0,
    engines=(Engine.X86,),
)

Plan = Callable[..., NetworkPlan]


@pytest.fixture(scope="module")
def plan(data: Path) -> Plan:
    """Plan `tiny_networks:Joined`."""
    dataset = open_dataset(data)

    def make(**changes: object) -> NetworkPlan:
        (planned,) = plan_networks(
            ["tiny_networks:Joined"],
            weights={"tiny_networks:Joined": "none"},
            dataset=dataset,
            settings=dataclasses.replace(SETTINGS, **changes),
            search_path=Path(__file__).with_name("own"),
            progress=Silence(),
        )
        return planned

    return make


def _hashes(planned: NetworkPlan) -> dict[str, str]:
    return {variant.name: variant.inputs_sha256 for variant in planned.variants}


def test_every_further_engine_adds_the_int8_variants_under_its_name(plan: Plan) -> None:
    planned = plan(engines=(Engine.X86, Engine.QNNPACK))

    engines = {variant.name: variant.engine for variant in planned.variants}
    assert engines["joined-sq8"] is Engine.X86
    assert engines["joined-sq8-qnnpack"] is Engine.QNNPACK
    assert engines["joined-p10-dq8-qnnpack"] is Engine.QNNPACK
    assert engines["joined-base"] is None
    assert not any(name.startswith("joined-base-") for name in engines)


def test_the_networks_own_size_as_a_resolution_adds_nothing(plan: Plan) -> None:
    assert _hashes(plan(resolutions=(SIZE,))) == _hashes(plan())


def test_every_resolution_adds_each_variant_that_has_no_size_of_its_own(plan: Plan) -> None:
    planned = plan(resolutions=(24, 8))

    sizes = {variant.name: variant.rule.input_size for variant in planned.variants}
    assert sizes["joined-p10-sq8-r24"] == sizes["joined-r24"] == 24
    assert sizes["joined-sq8-r8"] == 8
    # The recipe's own r8 is the base at 8 px.
    assert len(sizes) == len(planned.variants) == 7 + 2 * 6 - 1


def test_the_same_variant_asked_for_in_two_ways_is_the_same(plan: Plan) -> None:
    planned = plan()

    named = planned.plan(VariantSpec(name="base"))
    derived = planned.plan(VariantSpec())
    in_proportion = planned.plan(VariantSpec(input_at_224=112))
    exact = planned.plan(VariantSpec(input_px=8))

    assert named.inputs_sha256 == derived.inputs_sha256
    assert in_proportion.inputs_sha256 == exact.inputs_sha256


def test_what_decides_a_result_changes_its_hash_and_nothing_else_does(plan: Plan) -> None:
    before = _hashes(plan())
    recipe = SETTINGS.recipe
    other_calibration = msgspec.structs.replace(
        recipe, quantization=msgspec.structs.replace(recipe.quantization, calibration_images=7)
    )
    other_pruning = msgspec.structs.replace(
        recipe, pruning=msgspec.structs.replace(recipe.pruning, round_to=8)
    )

    def changed(after: dict[str, str]) -> set[str]:
        return {name for name in before if after[name] != before[name]}

    own = Standardization(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    assert changed(_hashes(plan(seed=1))) == set(before)
    assert changed(_hashes(plan(standardization=own))) == set(before)
    assert changed(_hashes(plan(recipe=other_calibration))) == {"joined-sq8", "joined-p10-sq8"}
    assert changed(_hashes(plan(recipe=other_pruning))) == {
        "joined-p10", "joined-p10-dq8", "joined-p10-sq8",
    }  # fmt: skip
    assert changed(_hashes(plan(engines=(Engine.ONEDNN,)))) == {
        "joined-dq8", "joined-sq8", "joined-p10-dq8", "joined-p10-sq8",
    }  # fmt: skip
    assert changed(_hashes(plan(engines=(Engine.X86, Engine.QNNPACK)))) == set()


def test_variants_share_a_stem_where_only_their_numbers_differ(plan: Plan) -> None:
    planned = plan()
    stems = {variant.name: variant.stem for variant in planned.variants}

    assert stems["joined-p10"] == stems["joined-p10-sq8"] == stems["joined-p10-dq8"]
    assert stems["joined-base"] == stems["joined-sq8"] != stems["joined-p10"]


def test_an_exact_size_that_the_network_cannot_take_is_an_obstacle(data: Path) -> None:
    (planned,) = plan_networks(
        ["vgg11"],
        weights={"vgg11": "none"},
        dataset=open_dataset(data),
        settings=dataclasses.replace(SETTINGS, input_size=64),
        search_path=Path(),
        progress=Silence(),
    )

    variant = planned.plan(VariantSpec(quantize=Scheme.STATIC_INT8, input_px=16))

    assert variant.name == "vgg11-sq8-r16"
    assert variant.obstacle == "the network takes no input of 16 px"


def test_a_changed_method_makes_anew_what_it_decides_and_nothing_else(plan: Plan) -> None:
    before = plan()

    def changed(stage: Stage) -> tuple[set[str], set[str]]:
        """Variants whose own hash, and whose stem's, differ after a change in that stage."""
        planned = dataclasses.replace(
            before, sources=lambda one: "other" if one is stage else sources_sha256(one)
        )
        pairs = [(variant, planned.plan(variant.spec)) for variant in before.variants]
        return (
            {one.name for one, other in pairs if one.inputs_sha256 != other.inputs_sha256},
            {one.name for one, other in pairs if one.stem != other.stem},
        )

    pruned = {"joined-p10", "joined-p10-dq8", "joined-p10-sq8"}
    integers = {"joined-dq8", "joined-sq8", "joined-p10-dq8", "joined-p10-sq8"}
    everything = set(_hashes(before))
    assert changed(Stage.QUANTIZATION) == (integers, set())
    assert changed(Stage.PRUNING) == changed(Stage.TUNING) == (pruned, pruned)
    assert changed(Stage.BUNDLE) == (everything, set())
    assert changed(Stage.NETWORK) == (everything, everything)
    assert changed(Stage.TIMING) == (set(), set())


def test_what_layers_can_spare_holds_until_the_network_or_the_method_changes(plan: Plan) -> None:
    before = plan()

    def study(stage: Stage) -> str:
        return dataclasses.replace(
            before, sources=lambda one: "other" if one is stage else sources_sha256(one)
        ).study_sha256

    differing = {stage for stage in Stage if study(stage) != before.study_sha256}
    assert differing == {Stage.NETWORK, Stage.PRUNING}
    assert plan(seed=1).study_sha256 != before.study_sha256
