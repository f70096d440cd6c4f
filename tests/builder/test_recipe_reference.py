"""The commented recipe in docs/builder.md, which people write theirs after."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from builder.recipe import Grid, PruningRule, QuantizationRule, Recipe, TuningRule, VariantSpec
from builder.recipe import load_recipe as load

PAGE = Path(__file__).parents[2] / "docs" / "builder.md"
STRUCTS = (Recipe, PruningRule, TuningRule, QuantizationRule, Grid, VariantSpec)
NAMES = [(struct, name) for struct in STRUCTS for name in struct.__struct_fields__]


@pytest.fixture
def reference() -> str:
    (block,) = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


def test_the_reference_loads_and_gives_every_rule_its_default(
    reference: str, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(reference)

    recipe = load(str(file))

    assert (recipe.pruning, recipe.tuning) == (PruningRule(), TuningRule())
    assert (recipe.quantization, recipe.grid) == (QuantizationRule(), Grid())


@pytest.mark.parametrize(("struct", "name"), NAMES)
def test_the_reference_names_every_field(
    struct: type[msgspec.Struct], name: str, reference: str
) -> None:
    pattern = rf"^(# )?{name} = |^\[+{name}\]+"
    assert re.search(pattern, reference, re.MULTILINE), f"{struct.__name__}.{name} is missing"
