"""What a build will make, worked out and checked before the first hour is spent on it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from torch import nn

from builder.data.classes import Classes, match_classes
from builder.data.dataset import Dataset
from builder.data.preprocessing import input_rule, resized
from builder.errors import UsageError
from builder.networks import vision
from builder.networks.architectures import Architecture, resolve
from builder.networks.probing import check_input, smallest_input, trial_network
from builder.networks.weights import Origin, Weights, find_weights
from builder.progress import Progress
from builder.quantization.engine import Engine
from builder.recipe import Recipe, VariantSpec
from contract.manifest import VARIANT_PATTERN, Preprocessing, Scheme


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What holds for every network of a build."""

    recipe: Recipe
    #: None takes each network's own.
    input_size: int | None
    #: None leaves it to the recipe.
    finetune_epochs: int | None
    seed: int
    engine: Engine


@dataclass(frozen=True, kw_only=True)
class VariantPlan:
    """One variant of one network."""

    name: str
    spec: VariantSpec
    rule: Preprocessing
    #: Why the network cannot have this variant, where that is known already.
    obstacle: str | None
    #: Hash over everything that decides the result.
    inputs_sha256: str


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    """One network and its variants, the base among them."""

    weights: Weights
    classes: Classes
    #: Input rule of the base.
    rule: Preprocessing
    finetune_epochs: int
    #: How many of the deepest convolutions pruning chooses; None for half of them.
    deepest: int | None
    variants: tuple[VariantPlan, ...]

    @property
    def architecture(self) -> Architecture:
        """The network's architecture."""
        return self.weights.architecture

    @property
    def base(self) -> VariantPlan:
        """The variant in which nothing is changed."""
        return next(variant for variant in self.variants if variant.spec.is_base)


def plan_networks(
    specs: Sequence[str],
    *,
    weights: str,
    dataset: Dataset,
    settings: Settings,
    search_path: Path,
    progress: Progress,
) -> list[NetworkPlan]:
    """Resolve, check and name everything that a build will make.

    Raises:
        UsageError: an architecture, the weights, the input size or the classes do not fit.
        DownloadError: published weights cannot be fetched.
    """
    architectures = [resolve(spec, search_path=search_path) for spec in dict.fromkeys(specs)]
    if weights == "default":
        # Before hundreds of megabytes are downloaded for classes that do not match.
        match_classes(dataset.folders, vision.IMAGENET_CLASSES, is_imagenet=True)
    found = [find_weights(weights, architecture, progress) for architecture in architectures]
    digest = dataset.digest(progress)
    plans = [_plan(one, dataset, digest, settings) for one in found]
    _check_names([variant.name for plan in plans for variant in plan.variants])
    return plans


def versions() -> dict[str, str]:
    """Versions of everything that decides what a build makes."""
    return {
        "edgewright": importlib.metadata.version("edgewright"),
        "torch": str(torch.__version__),
        "torchvision": vision.version(),
        "torch-pruning": importlib.metadata.version("torch-pruning"),
    }


def _plan(weights: Weights, dataset: Dataset, data_sha256: str, settings: Settings) -> NetworkPlan:
    architecture, recipe = weights.architecture, settings.recipe
    has_published = weights.published is not None
    rule = input_rule(
        architecture.published, settings.input_size, has_published_weights=has_published
    )
    is_free = weights.origin is Origin.RANDOM and dataset.labelled
    network = trial_network(architecture, len(dataset.folders) if is_free else weights.classes)
    outputs = check_input(network, architecture.name, rule.input_size)
    classes = match_classes(dataset.folders, outputs, is_imagenet=has_published)
    epochs = recipe.tuning.epochs if settings.finetune_epochs is None else settings.finetune_epochs
    finetune_epochs = epochs if dataset.labelled else 0
    deepest = recipe.pruning.deepest.get(architecture.name)
    common = {
        "source": architecture.source_sha256,
        "weights": weights.description,
        "data": data_sha256,
        "labels": classes.labels,
        "seed": settings.seed,
        "versions": versions(),
    }
    pruned = {"deepest": deepest, "tuning": recipe.tuning, "epochs": finetune_epochs}
    calibrated = {"calibration_images": recipe.calibration_images}
    variants = []
    for spec in recipe.variants:
        size, obstacle = _variant_size(network, spec, rule.input_size)
        name = f"{architecture.name}-{spec.suffix(size)}"
        variant_rule = rule if size == rule.input_size else resized(rule, size)
        decisive = (
            common
            | {"name": name, "spec": spec, "rule": variant_rule}
            | (pruned if spec.prune_ratio is not None else {})
            | ({"engine": settings.engine} if spec.quantize is not Scheme.FP32 else {})
            | (calibrated if spec.quantize is Scheme.STATIC_INT8 else {})
        )
        variants.append(
            VariantPlan(
                name=name,
                spec=spec,
                rule=variant_rule,
                obstacle=obstacle,
                inputs_sha256=hashlib.sha256(msgspec.json.encode(decisive)).hexdigest(),
            )
        )
    return NetworkPlan(
        weights=weights,
        classes=classes,
        rule=rule,
        finetune_epochs=finetune_epochs,
        deepest=deepest,
        variants=tuple(variants),
    )


def _variant_size(network: nn.Module, spec: VariantSpec, base_size: int) -> tuple[int, str | None]:
    wanted = spec.input_size(base_size)
    if spec.input_at_224 is None:
        return wanted, None
    size = smallest_input(network, wanted, base_size)
    if size is not None:
        return size, None
    return wanted, f"the network takes no input from {wanted} to below its {base_size} px"


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            message = f"two variants would be named '{name}'; build them into separate folders"
            raise UsageError(message)
        if re.match(VARIANT_PATTERN, name) is None:
            message = f"variant name '{name}': expected {VARIANT_PATTERN}; shorten it"
            raise UsageError(message)
