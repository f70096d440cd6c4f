"""Recipes as data."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.errors import RecipeError
from builder.recipe import Recipe, VariantSpec, load_recipe
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
