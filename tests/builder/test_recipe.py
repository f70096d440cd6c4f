"""Recipes as data."""

from __future__ import annotations

import codecs
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import RecipeError
from builder.pruning.method import ALL
from builder.recipe import (
    Grid,
    PruningRule,
    Recipe,
    Scope,
    VariantSpec,
    load_recipe,
    shipped_recipes,
)
from contract.manifest import Scheme


def _suffixes(recipe: Recipe, base_size: int) -> list[str]:
    return [v.suffix(v.input_size(base_size)) for v in recipe.variants]


def test_recipe_five_makes_the_five_classic_variants() -> None:
    assert _suffixes(load_recipe("five"), 224) == ["base", "p10", "dq8", "p10-dq8", "r160"]


def test_recipe_edgewright_is_the_five_and_static_int8() -> None:
    five, all_of_them = load_recipe("five"), load_recipe("edgewright")

    assert all_of_them.variants[:5] == five.variants
    assert all_of_them.pruning == five.pruning
    assert _suffixes(all_of_them, 224)[5:] == ["sq8", "p10-sq8"]


def test_tuning_after_pruning_is_one_epoch_at_a_learning_rate_of_1e_4() -> None:
    tuning = load_recipe("five").tuning

    assert (tuning.epochs, tuning.learning_rate) == (1, 1e-4)


@pytest.mark.parametrize(
    ("base", "smaller"), [(224, 160), (299, 216), (240, 168), (64, 48), (48, 32), (32, 24)]
)
def test_smaller_input_is_in_proportion_and_a_multiple_of_eight(base: int, smaller: int) -> None:
    assert load_recipe("five").variants[4].input_size(base) == smaller


@given(st.integers(min_value=16, max_value=1024), st.integers(min_value=8, max_value=223))
def test_smaller_input_is_a_positive_multiple_of_eight_near_the_proportion(
    base: int, at_224: int
) -> None:
    size = VariantSpec(input_at_224=at_224).input_size(base)

    assert size >= 8
    assert size % 8 == 0
    assert abs(size - base * at_224 / 224) <= 8


def test_names_are_derived_from_the_changes() -> None:
    everything = VariantSpec(prune_ratio=0.3, quantize=Scheme.STATIC_INT8, input_at_224=160)

    assert everything.suffix(160) == "p30-sq8-r160"
    assert VariantSpec(prune_ratio=0.025).suffix(224) == "p2.5"
    assert VariantSpec().suffix(224) == "base"


def test_a_recipe_from_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[[variants]]\n[[variants]]\nquantize = "static-int8"\n')

    assert _suffixes(load_recipe(str(path)), 224) == ["base", "sq8"]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("name = ", "mine.toml"),
        ('name = "x"\n[[variants]]\nprune_ration = 0.1\n', "prune_ration"),
        ('name = "x"\n[[variants]]\nprune_ratio = 1.0\n', "prune_ratio"),
        ('name = "x"\n[[variants]]\nquantize = "int4"\n', "int4"),
        ('name = "x"\nvariants = []\n', "variants"),
        ('name = "x"\n[[variants]]\nname = "base"\nprune_ratio = 0.1\n', "exactly one without"),
        ('name = "x"\n[[variants]]\n[[variants]]\nname = "base"\n', "twice"),
        ('name = "x"\n[[variants]]\nname = "BASE"\n', "name"),
        ('name = "x"\n[tuning]\nmixup = 0.2\n[[variants]]\n', "tuning.mixup.*distill = true"),
        (
            'name = "x"\n[[variants]]\n[[variants]]\ninput_px = 96\ninput_at_224 = 160\n',
            "input_px or input_at_224, got both",
        ),
        (
            'name = "x"\n[[variants]]\n[[variants]]\nprune_ratio = 0.1\nengine = "x86"\n',
            "goes with INT8",
        ),
        ('name = "x"\n[pruning]\nround_two = 8\n[[variants]]\n', "round_two"),
        ('name = "x"\n[pruning]\nscope = "some"\n[[variants]]\n', "some.*pruning.scope"),
        ('name = "x"\n[[variants]]\n[[variants]]\nengine = "fbgemm"\n', "fbgemm"),
        ('name = "x"\n[grid]\nprune_ratios = [0.5]\n', "exactly one without"),
    ],
)
def test_a_recipe_that_makes_no_sense_is_refused_by_field(
    tmp_path: Path, content: str, complaint: str
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(content)

    with pytest.raises(RecipeError, match=complaint):
        load_recipe(str(path))


def test_an_unknown_recipe_names_the_ones_that_there_are() -> None:
    with pytest.raises(RecipeError, match="edgewright or five"):
        load_recipe("six")


def test_a_grid_is_every_combination_and_keeps_the_listed_ones_names() -> None:
    grid = Grid(
        prune_ratios=(0.0, 0.5), quantize=(Scheme.FP32, Scheme.BF16), inputs_at_224=(224, 160)
    )
    recipe = Recipe(name="x", variants=[VariantSpec(name="half", prune_ratio=0.5)], grid=grid)

    assert [v.suffix(v.input_size(224)) for v in recipe.all_variants] == [
        "half", "base", "bf16", "r160", "bf16-r160", "p50-bf16", "p50-r160", "p50-bf16-r160",
    ]  # fmt: skip


def test_engine_and_exact_input_stand_in_the_name() -> None:
    spec = VariantSpec(quantize=Scheme.STATIC_INT8, input_px=100, engine="qnnpack")

    assert spec.input_size(224) == 100
    assert spec.suffix(100) == "sq8-r100-qnnpack"


@given(st.floats(min_value=0.01, max_value=0.98), st.floats(min_value=0.01, max_value=0.98))
def test_rounds_are_no_larger_than_the_largest_step_and_multiply_to_the_ratio(
    ratio: float, largest: float
) -> None:
    steps = PruningRule(largest_step=largest).steps(ratio)

    assert math.prod(1.0 - step for step in steps) == pytest.approx(1.0 - ratio)
    assert max(steps) <= largest + 1e-9


def test_scope_chooses_all_convolutions_or_the_deepest_half_unless_a_number_is_given() -> None:
    rule = PruningRule(scope=Scope.ALL, deepest={"vgg19": 9})

    assert rule.method("resnet18").deepest == ALL
    assert rule.method("vgg19").deepest == 9
    assert PruningRule().method("resnet18").deepest is None


def test_a_byte_order_mark_is_no_part_of_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(codecs.BOM_UTF8 + shipped_recipes()["five"].encode())
    assert load_recipe(str(path)) == load_recipe("five")
