"""The bundle set of a simulated fleet: variants with their work and their modelled accuracy."""

from __future__ import annotations

import hashlib
import itertools
import math

import msgspec

from contract.manifest import Scheme
from fleet.simulating.networks import Stage, stages_of

#: Top-1 and top-3 shares of the unpruned networks: top-1 as published for torchvision's first
#: weights; top-3 lies about two thirds of the way to the published top-5.
_BASE_ACCURACY = {
    "resnet18": (0.698, 0.843),
    "resnet34": (0.733, 0.870),
    "resnet50": (0.761, 0.891),
    "vgg19": (0.724, 0.862),
}
#: What a recipe costs in top-1, as a model only: pruning more than proportionally, and smaller
#: networks more than large ones.
_PRUNING_COST = {"resnet18": 0.30, "resnet34": 0.22, "resnet50": 0.20, "vgg19": 0.14}
_PRUNING_POWER = 1.8
_QUANTIZING_COST = {Scheme.FP32: 0.0, Scheme.DYNAMIC_INT8: 0.001, Scheme.STATIC_INT8: 0.006}
_SHRINKING_COST = {224: 0.0, 192: 0.008, 160: 0.026, 128: 0.062}
#: Top-3 loses less than top-1.
_TOP3_SHARE = 0.6

_FLOAT_BYTES, _INT8_BYTES = 4, 1
_FILE_OVERHEAD_BYTES = 200_000


class VariantLaw(msgspec.Struct, frozen=True, kw_only=True):
    """One variant: what it computes, and how right it is; `make_variant` makes them."""

    name: str
    architecture: str
    scheme: Scheme
    input_size: int
    pruned: float
    stages: tuple[Stage, ...]
    #: Multiply-accumulates for one image.
    macs: int
    parameters: int
    #: Weights as they lie in memory.
    weight_bytes: int
    #: The largest input and output of a layer, alive together.
    activation_bytes: int
    file_bytes: int
    #: Stands for the digest of the bundle's file.
    sha256: str
    top1: float
    top3: float
    #: Top-1 of the set's baseline less this one's.
    top1_drop: float

    @property
    def layers(self) -> int:
        """Convolutions and linear layers."""
        return sum(stage.layers for stage in self.stages)

    @property
    def int8_mac_share(self) -> float:
        """Share of the multiply-accumulates that are done in INT8."""
        return sum(one.macs for one in self.stages if self.is_int8(one)) / self.macs

    def is_int8(self, stage: Stage) -> bool:
        """Whether a stage is computed in INT8; dynamic quantization takes linear layers alone."""
        return _is_int8(self.scheme, stage)

    def stage_weight_bytes(self, stage: Stage) -> float:
        """Weights of one stage."""
        return stage.weights * _weight_width(self.scheme, stage)

    def value_bytes(self, stage: Stage) -> int:
        """Width of what goes from layer to layer; dynamic quantization leaves it in floats."""
        is_static = self.scheme is Scheme.STATIC_INT8 and self.is_int8(stage)
        return _INT8_BYTES if is_static else _FLOAT_BYTES


_ARCHITECTURES = ("resnet18", "resnet34", "resnet50", "vgg19")
_PRUNED_PERCENT = (0, 10, 30, 50)
_SUFFIX = {Scheme.FP32: "", Scheme.DYNAMIC_INT8: "dq8", Scheme.STATIC_INT8: "sq8"}
_FULL_SIZE, _SMALL_SIZE = 224, 160
_SIZES = (_FULL_SIZE, _SMALL_SIZE)
BASELINE = "resnet50-base"


def catalogue() -> tuple[VariantLaw, ...]:
    """Every variant that can be simulated, the baseline of the set among them."""
    recipes = itertools.product(_ARCHITECTURES, _PRUNED_PERCENT, _SUFFIX, _SIZES)
    return tuple(make_variant(*recipe) for recipe in recipes if _is_made(*recipe))


def set_id_of(variants: tuple[VariantLaw, ...]) -> str:
    """Stands for the identity of the bundle set of these variants."""
    names = " ".join(sorted(variant.name for variant in variants))
    return hashlib.sha256(names.encode()).hexdigest()[:16]


def _is_made(architecture: str, percent: int, scheme: Scheme, _size: int) -> bool:
    """Whether a recipe makes sense: a ResNet has next to nothing in linear layers.

    Dynamic quantization of one is kept in its unpruned form, for a fleet should find out.
    """
    return scheme is not Scheme.DYNAMIC_INT8 or architecture == "vgg19" or percent == 0


def make_variant(architecture: str, percent: int, scheme: Scheme, size: int) -> VariantLaw:
    """The variant of a recipe.

    Args:
        architecture: resnet18, resnet34, resnet50 or vgg19.
        percent: filters that pruning takes, 0 to 90.
        scheme: FP32 or one of the INT8 schemes.
        size: side of the square input: 224, 192, 160 or 128.
    """
    pruned = percent / 100
    size_suffix = "" if size == _FULL_SIZE else f"r{size}"
    parts = [f"p{percent}" if percent else "", _SUFFIX[scheme], size_suffix]
    named = [part for part in parts if part] or ["base"]
    name = "-".join([architecture, *named])
    stages = stages_of(architecture, pruned=pruned, size=size)
    weight_bytes = round(sum(one.weights * _weight_width(scheme, one) for one in stages))
    value_width = _INT8_BYTES if scheme is Scheme.STATIC_INT8 else _FLOAT_BYTES
    cost = (
        _PRUNING_COST[architecture] * math.pow(pruned, _PRUNING_POWER)
        + _QUANTIZING_COST[scheme]
        + _SHRINKING_COST[size]
    )
    top1, top3 = _BASE_ACCURACY[architecture]
    return VariantLaw(
        name=name,
        architecture=architecture,
        scheme=scheme,
        input_size=size,
        pruned=pruned,
        stages=stages,
        macs=round(sum(one.macs for one in stages)),
        parameters=round(sum(one.weights for one in stages)),
        weight_bytes=weight_bytes,
        activation_bytes=round(max(one.alive for one in stages) * value_width),
        file_bytes=weight_bytes + _FILE_OVERHEAD_BYTES,
        sha256=hashlib.sha256(f"simulated {name}".encode()).hexdigest(),
        top1=round(top1 - cost, 4),
        top3=round(top3 - cost * _TOP3_SHARE, 4),
        top1_drop=round(_BASE_ACCURACY["resnet50"][0] - (top1 - cost), 4),
    )


def bundle_set(count: int) -> tuple[VariantLaw, ...]:
    """So many variants of the catalogue, evenly spread over it, with the baseline among them.

    Raises:
        ValueError: fewer than one, or more than the catalogue has.
    """
    every = catalogue()
    if not 1 <= count <= len(every):
        message = f"variants {count}: expected 1 to {len(every)}"
        raise ValueError(message)
    start = next(place for place, one in enumerate(every) if one.name == BASELINE)
    places = sorted((start + number * len(every) // count) % len(every) for number in range(count))
    return tuple(every[place] for place in places)


def _is_int8(scheme: Scheme, stage: Stage) -> bool:
    if scheme is Scheme.DYNAMIC_INT8:
        return stage.is_linear
    return scheme is Scheme.STATIC_INT8


def _weight_width(scheme: Scheme, stage: Stage) -> int:
    return _INT8_BYTES if _is_int8(scheme, stage) else _FLOAT_BYTES
