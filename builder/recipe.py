"""Recipes: which variants to make of a network, as data."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated

import msgspec

from builder.errors import RecipeError
from contract.manifest import Count, Positive, Scheme

#: Inputs are cut to a multiple of this: five halvings of most networks waste less there.
_SIZE_STEP = 8
_REFERENCE_SIZE = 224

Ratio = Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
Suffix = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,31}$")]


class VariantSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One variant: what is changed against the network as it comes."""

    #: What stands behind the network's name; derived from the changes where absent.
    name: Suffix | None = None
    #: Share of the filters of each chosen convolution that is removed.
    prune_ratio: Ratio | None = None
    quantize: Scheme = Scheme.FP32
    #: Input in pixels where the base takes 224; in proportion for other sizes.
    input_at_224: Annotated[int, msgspec.Meta(ge=8, lt=_REFERENCE_SIZE)] | None = None

    @property
    def is_base(self) -> bool:
        """Whether nothing is changed."""
        return (
            self.prune_ratio is None and self.quantize is Scheme.FP32 and self.input_at_224 is None
        )

    def input_size(self, base_size: int) -> int:
        """Input in pixels for a network whose base takes `base_size`."""
        if self.input_at_224 is None:
            return base_size
        exact = base_size * self.input_at_224 / _REFERENCE_SIZE
        return max(_SIZE_STEP, int(exact / _SIZE_STEP + 0.5) * _SIZE_STEP)

    def suffix(self, input_size: int) -> str:
        """Name without the network's: `base`, `p10`, `dq8`, `p30-sq8-r160`."""
        if self.name is not None:
            return self.name
        parts = []
        if self.prune_ratio is not None:
            parts.append(f"p{self.prune_ratio * 100:g}")
        if self.quantize is Scheme.DYNAMIC_INT8:
            parts.append("dq8")
        if self.quantize is Scheme.STATIC_INT8:
            parts.append("sq8")
        if self.input_at_224 is not None:
            parts.append(f"r{input_size}")
        return "-".join(parts) or "base"


class PruningRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which convolutions lose filters: the deepest half, unless named here."""

    #: By architecture, how many convolutions counted from the output.
    deepest: dict[str, Positive] = {}


class TuningRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fine-tuning after pruning, with Adam."""

    epochs: Count = 1
    learning_rate: Annotated[float, msgspec.Meta(gt=0.0)] = 1e-4
    batch_size: Annotated[int, msgspec.Meta(ge=2)] = 32


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list of variants and the rules that they share."""

    name: str
    summary: str = ""
    pruning: PruningRule = PruningRule()
    tuning: TuningRule = TuningRule()
    #: Images of `train/` that static INT8 takes its activation ranges from.
    calibration_images: Positive = 128
    variants: Annotated[list[VariantSpec], msgspec.Meta(min_length=1)]


def shipped_recipes() -> dict[str, str]:
    """Content of the recipes that come with the builder, by name."""
    folder = resources.files("builder") / "recipes"
    return {
        entry.name.removesuffix(".toml"): entry.read_text(encoding="utf-8")
        for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".toml")
    }


def load_recipe(name_or_file: str) -> Recipe:
    """Recipe of that name, or the one in a TOML file.

    Raises:
        RecipeError: neither, not TOML, an unknown or wrong field, two variants of one name,
            or no variant that leaves the network as it is.
    """
    shipped = shipped_recipes()
    if name_or_file in shipped:
        content = shipped[name_or_file]
    else:
        try:
            content = Path(name_or_file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            message = (
                f"recipe '{name_or_file}': expected {' or '.join(shipped)}, or a readable TOML "
                f"file ({error})"
            )
            raise RecipeError(message) from error
    try:
        recipe = msgspec.toml.decode(content, type=Recipe)
    except msgspec.MsgspecError as error:
        message = f"recipe '{name_or_file}': {error}; compare it with builder/recipes/five.toml"
        raise RecipeError(message) from error
    _check(recipe, name_or_file)
    return recipe


def _check(recipe: Recipe, source: str) -> None:
    suffixes = [v.suffix(v.input_size(_REFERENCE_SIZE)) for v in recipe.variants]
    twice = sorted({s for s in suffixes if suffixes.count(s) > 1})
    if twice:
        message = f"recipe '{source}': variants: {', '.join(twice)} stands there twice; keep one"
        raise RecipeError(message)
    if sum(variant.is_base for variant in recipe.variants) != 1:
        message = (
            f"recipe '{source}': variants: expected exactly one without prune_ratio, quantize "
            'and input_at_224 (the baseline of all comparisons); add [[variants]] name = "base"'
        )
        raise RecipeError(message)
