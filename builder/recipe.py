"""Recipes: which variants to make of a network, as data."""

from __future__ import annotations

import enum
import math
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from builder.errors import RecipeError
from builder.pruning.method import ALL, Allotment, Importance, Method
from contract.files import read_handwritten
from contract.manifest import Count, Positive, Scheme

#: Inputs are cut to a multiple of this: five halvings of most networks waste less there.
_SIZE_STEP = 8
_REFERENCE_SIZE = 224
_FULL_RATE_RATIO = 0.5

Ratio = Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
Suffix = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,31}$(?!\n)")]
Rate = Annotated[float, msgspec.Meta(gt=0.0)]
EngineName = Literal["x86", "onednn", "qnnpack"]
Side = Annotated[int, msgspec.Meta(ge=_SIZE_STEP)]
SideAt224 = Annotated[int, msgspec.Meta(ge=_SIZE_STEP, lt=_REFERENCE_SIZE)]

#: Schemes that run on integer kernels, and so on one engine or another.
INT8_SCHEMES = frozenset({Scheme.DYNAMIC_INT8, Scheme.STATIC_INT8})

_SCHEME_NAMES = {
    Scheme.DYNAMIC_INT8: "dq8",
    Scheme.STATIC_INT8: "sq8",
    Scheme.BF16: "bf16",
}


class Scope(enum.StrEnum):
    """Which convolutions pruning chooses from."""

    DEEPEST_HALF = "deepest-half"
    ALL = "all"


class VariantSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One variant: what is changed against the network as it comes."""

    #: What stands behind the network's name; derived from the changes where absent.
    name: Suffix | None = None
    #: Share of the filters of each chosen convolution that is removed.
    prune_ratio: Ratio | None = None
    quantize: Scheme = Scheme.FP32
    #: Input in pixels where the base takes 224; in proportion for other sizes.
    input_at_224: SideAt224 | None = None
    #: Input in pixels, whatever the base takes.
    input_px: Side | None = None
    #: INT8 kernels that it is made for; those that were asked for first where absent.
    engine: EngineName | None = None

    @property
    def is_base(self) -> bool:
        """Whether nothing is changed."""
        return self.prune_ratio is None and self.quantize is Scheme.FP32 and not self.is_resized

    @property
    def is_resized(self) -> bool:
        """Whether it has an input size of its own."""
        return self.input_at_224 is not None or self.input_px is not None

    def input_size(self, base_size: int) -> int:
        """Input in pixels for a network whose base takes `base_size`."""
        if self.input_px is not None:
            return self.input_px
        if self.input_at_224 is None:
            return base_size
        exact = base_size * self.input_at_224 / _REFERENCE_SIZE
        return max(_SIZE_STEP, int(exact / _SIZE_STEP + 0.5) * _SIZE_STEP)

    def suffix(self, input_size: int) -> str:
        """Name without the network's: `base`, `p10`, `dq8`, `p30-sq8-r160`, `sq8-qnnpack`."""
        if self.name is not None:
            return self.name
        parts = []
        if self.prune_ratio is not None:
            parts.append(f"p{self.prune_ratio * 100:g}")
        if self.quantize in _SCHEME_NAMES:
            parts.append(_SCHEME_NAMES[self.quantize])
        if self.is_resized:
            parts.append(f"r{input_size}")
        if self.engine is not None:
            parts.append(self.engine)
        return "-".join(parts) or "base"


class PruningRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which layers lose filters, which filters, and how many."""

    scope: Scope = Scope.DEEPEST_HALF
    #: By architecture, how many convolutions counted from the output, whatever the scope.
    deepest: dict[str, Positive] = {}
    #: Let Linears that other layers read lose features too, as VGG has them.
    linears: bool = False
    importance: Importance = Importance.L2
    allotment: Allotment = Allotment.UNIFORM
    #: What the channels left in a layer are a multiple of; kernels like 8 and 16.
    round_to: Positive = 1
    #: Make up for what goes in the layers that read it, by least squares on training images.
    compensate: bool = False
    #: The most that goes at once; beyond it pruning and tuning take turns.
    largest_step: Ratio | None = None

    def method(self, architecture: str) -> Method:
        """Rule for one architecture."""
        everything = ALL if self.scope is Scope.ALL else None
        return Method(
            deepest=self.deepest.get(architecture, everything),
            linears=self.linears,
            importance=self.importance,
            allotment=self.allotment,
            round_to=self.round_to,
            compensate=self.compensate,
        )

    def steps(self, ratio: float) -> list[float]:
        """Shares of what is then left that go in each round, for `ratio` in all.

        Rounds are equal: the same share of what the round before left.
        """
        if self.largest_step is None or ratio <= self.largest_step:
            return [ratio]
        rounds = math.ceil(math.log(1.0 - ratio) / math.log(1.0 - self.largest_step))
        return [1.0 - (1.0 - ratio) ** (1.0 / rounds)] * rounds


class TuningRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fine-tuning after pruning and for smaller inputs, with Adam."""

    epochs: Count = 1
    #: Peak where the schedule is one cycle, else constant.
    learning_rate: Rate = 1e-4
    #: Lower the rate in proportion where less than half of the filters went: what was hardly
    #: touched should hardly move.
    rate_by_ratio: bool = False
    batch_size: Annotated[int, msgspec.Meta(ge=2)] = 32
    #: Learn from the base network's answers; without labels that is done anyhow.
    distill: bool = False
    #: Learning rate that rises and falls once.
    one_cycle: bool = False
    #: Randomly shifted images.
    shift: bool = False
    #: Every second image mirrored: not for digits, letters or signs.
    mirror: bool = False
    #: Strength of overlaid images, which only a teacher can answer for; 0 for none.
    mixup: Annotated[float, msgspec.Meta(ge=0.0)] = 0.0
    #: Statistics of batch normalisation taken anew after surgery, resizing and mixup.
    reestimate: bool = False
    #: Epochs between rounds of pruning, where `pruning.largest_step` makes several.
    round_epochs: Count = 0
    #: Epochs of tuning at a smaller input; 0 leaves the network as it is there.
    resolution_epochs: Count = 0
    #: Further tunings of a variant that came out below one pruned more.
    retries: Count = 0

    def rate(self, prune_ratio: float) -> float:
        """Learning rate after so much was pruned."""
        share = min(1.0, prune_ratio / _FULL_RATE_RATIO) if self.rate_by_ratio else 1.0
        return self.learning_rate * share


class QuantizationRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How static INT8 is calibrated, and what it may cost."""

    #: Images of `train/` that static INT8 takes its activation ranges from.
    calibration_images: Positive = 128
    #: Most top-1 that it may lose (0.01 is one point) before layers are kept in floats;
    #: absent, it costs what it costs.
    max_top1_drop: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] | None = None


class Grid(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every combination of these becomes a variant."""

    #: 0 leaves the network whole.
    prune_ratios: tuple[Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)], ...] = (0.0,)
    quantize: tuple[Scheme, ...] = (Scheme.FP32,)
    #: 224 leaves the input as it is.
    inputs_at_224: tuple[Annotated[int, msgspec.Meta(ge=_SIZE_STEP, le=_REFERENCE_SIZE)], ...] = (
        _REFERENCE_SIZE,
    )

    def variants(self) -> list[VariantSpec]:
        """All combinations, the unchanged network first where it is among them."""
        return [
            VariantSpec(
                prune_ratio=ratio or None,
                quantize=scheme,
                input_at_224=None if side == _REFERENCE_SIZE else side,
            )
            for ratio in self.prune_ratios
            for side in self.inputs_at_224
            for scheme in self.quantize
        ]


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A list of variants and the rules that they share."""

    name: str
    summary: str = ""
    pruning: PruningRule = PruningRule()
    tuning: TuningRule = TuningRule()
    quantization: QuantizationRule = QuantizationRule()
    variants: list[VariantSpec] = []
    grid: Grid | None = None

    @property
    def all_variants(self) -> list[VariantSpec]:
        """The listed variants, then those of the grid that are not among them."""
        known = {_changes(spec) for spec in self.variants}
        combinations = self.grid.variants() if self.grid else []
        return [*self.variants, *(spec for spec in combinations if _changes(spec) not in known)]


def _changes(spec: VariantSpec) -> VariantSpec:
    return msgspec.structs.replace(spec, name=None)


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
            content = read_handwritten(Path(name_or_file))
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
    variants = recipe.all_variants
    suffixes = [v.suffix(v.input_size(_REFERENCE_SIZE)) for v in variants]
    twice = sorted({s for s in suffixes if suffixes.count(s) > 1})
    if twice:
        message = f"recipe '{source}': variants: {', '.join(twice)} stands there twice; keep one"
        raise RecipeError(message)
    if sum(variant.is_base for variant in variants) != 1:
        message = (
            f"recipe '{source}': variants: expected exactly one without prune_ratio, quantize "
            'and an input size (the baseline of all comparisons); add [[variants]] name = "base"'
        )
        raise RecipeError(message)
    for variant in recipe.variants:
        _check_variant(variant, source)
    if recipe.tuning.mixup and not recipe.tuning.distill:
        message = (
            f"recipe '{source}': tuning.mixup: expected 0, got {recipe.tuning.mixup:g}: no label "
            "fits overlaid images; add distill = true"
        )
        raise RecipeError(message)


def _check_variant(variant: VariantSpec, source: str) -> None:
    if variant.input_px is not None and variant.input_at_224 is not None:
        message = (
            f"recipe '{source}': variants: expected input_px or input_at_224, got both "
            f"({variant.input_px} and {variant.input_at_224}); keep one"
        )
        raise RecipeError(message)
    if variant.engine is not None and variant.quantize not in INT8_SCHEMES:
        message = (
            f"recipe '{source}': variants: engine = \"{variant.engine}\" goes with INT8, got "
            f'quantize = "{variant.quantize}"; leave it out'
        )
        raise RecipeError(message)
