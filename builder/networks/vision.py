"""The only place that imports torchvision: its networks, published weights and data sets."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import msgspec
from torch import nn

from contract.manifest import Interpolation, Preprocessing

#: What a torchvision wheel for CUDA says beside a CPU torch: its compiled operators do not
#: load, and the module that declares their shapes stumbles over the first one.
_NO_OPERATORS = "operator torchvision::nms does not exist"

IMAGENET_CLASSES = 1000
_WITH_AUXILIARY = frozenset({"googlenet", "inception_v3"})


def _import_models() -> Any:  # noqa: ANN401 - torchvision ships no types
    try:
        return importlib.import_module("torchvision.models")
    except RuntimeError as error:
        if _NO_OPERATORS not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    # Classification needs none of those operators, so their declarations can stay empty.
    declarations = "torchvision._meta_registrations"
    sys.modules[declarations] = types.ModuleType(declarations)
    return importlib.import_module("torchvision.models")


_models = _import_models()


@dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """ImageNet weights that torchvision publishes for one network, and how to feed it."""

    name: str
    url: str
    input_size: int
    resize_size: int
    interpolation: Interpolation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @property
    def file_name(self) -> str:
        """Name of the file behind the URL."""
        return self.url.rpartition("/")[2]

    @property
    def sha256_prefix(self) -> str:
        """First hexadecimal digits of the file's SHA-256, which its name ends in."""
        return self.file_name.rpartition("-")[2].partition(".")[0]


def version() -> str:
    """Version of torchvision."""
    return cast("str", importlib.import_module("torchvision").__version__)


def network_names() -> list[str]:
    """Names of all classification networks, sorted."""
    return cast("list[str]", _models.list_models(module=_models))


def network_family(name: str) -> str:
    """Family of a network: `vgg` of `vgg19_bn`, `inception` of `inception_v3`."""
    return cast("str", _models.get_model_builder(name).__module__).rpartition(".")[2]


def network_factory(name: str) -> Callable[..., nn.Module]:
    """Callable that makes the network from `num_classes`, with random weights.

    Auxiliary heads (Inception, GoogLeNet) serve training alone; they are left out.
    """
    build = _models.get_model_builder(name)
    # Without init_weights these two warn that their default will change one day.
    options = {"aux_logits": False, "init_weights": True} if name in _WITH_AUXILIARY else {}

    def make(num_classes: int = IMAGENET_CLASSES) -> nn.Module:
        return cast("nn.Module", build(weights=None, num_classes=num_classes, **options))

    return make


def expect_published_input(network: nn.Module) -> None:
    """Make a network treat its input as torchvision does beside its published weights.

    Inception and GoogLeNet were trained elsewhere, on another standardisation.
    """
    if hasattr(network, "transform_input"):
        network.transform_input = True  # type: ignore[assignment]  # a flag, not a tensor


def without_own_transform(network: nn.Module, rule: Preprocessing) -> Preprocessing:
    """Rule that has the effect of `rule` once the network transforms nothing by itself.

    A state dict does not say that it did, so whoever loads one needs this rule. Torchvision's
    transformation is from ImageNet's standardisation to a mean and a deviation of 0.5.
    """
    if not getattr(network, "transform_input", False):
        return rule
    return msgspec.structs.replace(rule, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))


def published_weights(name: str) -> PublishedWeights:
    """Torchvision's recommended ImageNet weights for a network."""
    weights = _models.get_model_weights(name).DEFAULT
    rule = weights.transforms()
    return PublishedWeights(
        name=str(weights),
        url=weights.url,
        input_size=rule.crop_size[0],
        resize_size=rule.resize_size[0],
        interpolation=Interpolation(rule.interpolation.value),
        mean=tuple(rule.mean),
        std=tuple(rule.std),
    )


def imagenet_labels() -> list[str]:
    """The 1000 ImageNet class labels in output order."""
    return list(_models.ResNet18_Weights.DEFAULT.meta["categories"])


def cifar10() -> Any:  # noqa: ANN401 - torchvision ships no types
    """Torchvision's class that reads CIFAR-10 from its archive."""
    return importlib.import_module("torchvision.datasets").CIFAR10
