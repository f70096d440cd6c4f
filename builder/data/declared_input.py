"""What a network says of its own input, in the attribute that timm's models made usual.

https://huggingface.co/docs/timm: a model carries `pretrained_cfg` (`default_cfg` in older ones), a
dict or an object with `mean`, `std`, `input_size` as (channels, height, width), `crop_pct` and
`interpolation`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import TypeVar

from torch import nn

from builder.data.standardization import IMAGENET, checked_mean, checked_std
from builder.errors import ArchitectureError
from contract.manifest import Interpolation, Preprocessing

Value = TypeVar("Value")

_log = logging.getLogger(__name__)

_ATTRIBUTES = ("pretrained_cfg", "default_cfg")
_FIELDS = ("mean", "std", "input_size", "crop_pct", "interpolation")
_DEFAULT_SIZE = 224


def declared_input(network: nn.Module, name: str) -> Preprocessing | None:
    """Rule that the network called `name` carries; None where it carries none.

    What it leaves open is as for networks that say nothing: ImageNet's mean and deviation, 224
    px, the whole of the shorter side.

    Raises:
        ArchitectureError: what it says makes no sense, or no square image.
    """
    for attribute in _ATTRIBUTES:
        configuration = getattr(network, attribute, None)
        found = {field: _value(configuration, field) for field in _FIELDS}
        said = {field: value for field, value in found.items() if value is not None}
        if said:
            return _rule(said, f"{name}: its {attribute}")
    return None


def _value(configuration: object, field: str) -> object:
    if isinstance(configuration, Mapping):
        return configuration.get(field)
    return getattr(configuration, field, None)


def _rule(said: Mapping[str, object], source: str) -> Preprocessing:
    def read(field: str, check: Callable[[object], Value], otherwise: Value) -> Value:
        if field not in said:
            return otherwise
        try:
            return check(said[field])
        except ValueError as error:
            message = (
                f"{source}: {field}: {error}; set the attribute right in a factory of your own"
            )
            raise ArchitectureError(message) from error

    size = read("input_size", _side, _DEFAULT_SIZE)
    share = read("crop_pct", _share, 1.0)
    return Preprocessing(
        input_size=size,
        resize_size=math.floor(size / share),
        interpolation=_interpolation(said.get("interpolation"), source),
        mean=read("mean", checked_mean, IMAGENET.mean),
        std=read("std", checked_std, IMAGENET.std),
    )


def _side(value: object) -> int:
    match value:
        case (_, int(height), int(width)) if height == width > 0:
            return height
    message = f"expected (3, N, N), got {value}; only square inputs are built"
    raise ValueError(message)


def _share(value: object) -> float:
    if isinstance(value, int | float) and 0.0 < value <= 1.0:
        return float(value)
    message = f"expected a share above 0 and up to 1, got {value}"
    raise ValueError(message)


def _interpolation(value: object, source: str) -> Interpolation:
    known = {kind.value: kind for kind in Interpolation}
    if value is not None and value not in known:
        _log.warning("%s: interpolation: %s is not known; bilinear is used", source, value)
    return known.get(str(value), Interpolation.BILINEAR)
