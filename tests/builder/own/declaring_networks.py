"""Networks that say of themselves how they want their input, as timm's models do."""

from __future__ import annotations

from types import SimpleNamespace

from tiny_networks import chain
from torch import nn


def _declaring(num_classes: int, **attributes: object) -> nn.Module:
    network = chain(num_classes)
    for name, value in attributes.items():
        setattr(network, name, value)
    return network


def declaring(num_classes: int = 3) -> nn.Module:
    """Carries what a model of timm carries."""
    configuration = {
        "url": "", "num_classes": 1000, "input_size": (3, 24, 24), "pool_size": None,
        "crop_pct": 0.75, "interpolation": "bicubic",
        "mean": (0.5, 0.4, 0.3), "std": (1.0, 1.0, 1.0),
    }  # fmt: skip
    return _declaring(num_classes, pretrained_cfg=configuration)


def declaring_object(num_classes: int = 3) -> nn.Module:
    """Says a part of it, in an object, under the older name."""
    configuration = SimpleNamespace(mean=[0.5, 0.5, 0.5], std=[0.5, 0.5, 0.5])
    return _declaring(num_classes, pretrained_cfg=None, default_cfg=configuration)


def declaring_nonsense(num_classes: int = 3) -> nn.Module:
    """Means that are those of inputs from 0 to 255."""
    return _declaring(num_classes, pretrained_cfg={"mean": (124.0, 116.0, 104.0)})


def declaring_oblong(num_classes: int = 3) -> nn.Module:
    """Wants images that are not square."""
    return _declaring(num_classes, default_cfg={"input_size": (3, 24, 32)})


def declaring_odd_filter(num_classes: int = 3) -> nn.Module:
    """Wants a filter that nobody has."""
    return _declaring(num_classes, pretrained_cfg={"interpolation": "random"})
