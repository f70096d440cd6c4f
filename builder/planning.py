"""What a build will make, worked out and checked before the first hour is spent on it."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from torch import nn

from builder.data.classes import Classes, match_classes
from builder.data.dataset import Dataset
from builder.data.preprocessing import AskedInput, input_rule, resized
from builder.deciders import Stage, sources_sha256, versions
from builder.errors import UsageError
from builder.networks import vision
from builder.networks.architectures import Architecture, resolve
from builder.networks.probing import check_input, smallest_input, trial_network
from builder.networks.weights import Origin, Weights, find_weights
from builder.progress import Progress
from builder.pruning.method import Method
from builder.quantization.engine import Engine, engine_obstacle
from builder.recipe import INT8_SCHEMES, Recipe, VariantSpec
from builder.request import Settings
from contract.manifest import VARIANT_PATTERN, Preprocessing, Scheme


@dataclass(frozen=True, kw_only=True)
class StemPlan:
    """A network in floats that several variants share, as it came or pruned and tuned."""

    prune_ratio: float | None = None
    #: Other input in pixels that it was made to suit; None for the base's.
    input_size: int | None = None
    #: Hash over everything that decides its weights.
    inputs_sha256: str


@dataclass(frozen=True, kw_only=True)
class VariantPlan:
    """One variant of one network."""

    name: str
    spec: VariantSpec
    rule: Preprocessing
    stem: StemPlan
    #: INT8 kernels that it is made for; None for floats.
    engine: Engine | None
    #: Why the network cannot have this variant, where that is known already.
    obstacle: str | None
    #: Hash over everything that decides the result.
    inputs_sha256: str


@dataclass(frozen=True, kw_only=True)
class NetworkPlan:
    """One network, its variants, and how to plan more of them."""

    weights: Weights
    classes: Classes
    #: Input rule of the base.
    rule: Preprocessing
    method: Method
    settings: Settings
    finetune_epochs: int
    resolution_epochs: int
    variants: tuple[VariantPlan, ...] = ()
    #: What decides every variant's result.
    common: Mapping[str, object]
    #: Digest of the program's own sources that decide a stage's result.
    sources: Callable[[Stage], str] = sources_sha256
    #: For trying input sizes, without memory where that is possible.
    trial: nn.Module = field(repr=False)

    @property
    def architecture(self) -> Architecture:
        """The network's architecture."""
        return self.weights.architecture

    @property
    def base(self) -> VariantPlan:
        """The variant in which nothing is changed."""
        return self.plan(VariantSpec(name="base"))

    def plan(self, spec: VariantSpec) -> VariantPlan:
        """Plan one variant; where the network cannot have it, that says why."""
        recipe = self.settings.recipe
        size, obstacle = self._size(spec)
        stem = self.stem(spec.prune_ratio, size)
        engine = None
        if spec.quantize in INT8_SCHEMES:
            engine = self.settings.engines[0] if spec.engine is None else Engine(spec.engine)
            obstacle = obstacle or engine_obstacle(engine)
        name = f"{self.architecture.name}-{spec.suffix(size)}"
        rule = self.rule if size == self.rule.input_size else resized(self.rule, size)
        static = spec.quantize is Scheme.STATIC_INT8
        decisive = {
            "name": name,
            # Not the spec itself, which can say the same in several ways.
            "scheme": spec.quantize,
            "rule": rule,
            "stem": stem.inputs_sha256,
            "engine": engine,
            "quantization": recipe.quantization if static else None,
            "sources": self._sources(
                {Stage.BUNDLE: True, Stage.QUANTIZATION: spec.quantize is not Scheme.FP32}
            ),
        }
        return VariantPlan(
            name=name,
            spec=spec,
            rule=rule,
            stem=stem,
            engine=engine,
            obstacle=obstacle,
            inputs_sha256=_digest(decisive),
        )

    def stem(self, prune_ratio: float | None, input_size: int) -> StemPlan:
        """Plan the network in floats behind variants of that ratio and input."""
        recipe = self.settings.recipe
        adapts = self.resolution_epochs > 0 or recipe.tuning.reestimate
        retuned = adapts and input_size != self.rule.input_size
        tuned = prune_ratio is not None or retuned
        decisive = {
            "common": self.common,
            "base_rule": self.rule,
            "prune_ratio": prune_ratio,
            "input_size": input_size if retuned else None,
            "pruning": recipe.pruning if prune_ratio is not None else None,
            "method": self.method if prune_ratio is not None else None,
            "tuning": recipe.tuning if tuned else None,
            "epochs": self.finetune_epochs if tuned else None,
            "sources": self._sources(
                {
                    Stage.NETWORK: True,
                    Stage.PRUNING: prune_ratio is not None,
                    Stage.TUNING: tuned,
                }
            ),
        }
        return StemPlan(
            prune_ratio=prune_ratio,
            input_size=input_size if retuned else None,
            inputs_sha256=_digest(decisive),
        )

    @property
    def study_sha256(self) -> str:
        """Hash over everything that decides what the layers of the whole network can spare."""
        decisive = {
            "whole": self.stem(None, self.rule.input_size).inputs_sha256,
            "importance": self.method.importance,
            "sources": self._sources({Stage.PRUNING: True}),
        }
        return _digest(decisive)

    def _sources(self, stages: Mapping[Stage, bool]) -> dict[str, str]:
        return {stage.name: self.sources(stage) for stage, passed in stages.items() if passed}

    def _size(self, spec: VariantSpec) -> tuple[int, str | None]:
        base = self.rule.input_size
        wanted = spec.input_size(base)
        if not spec.is_resized:
            return wanted, None
        # An exact size is meant as such; a proportion may be rounded up to what fits.
        below = base if spec.input_px is None else wanted + 1
        size = smallest_input(self.trial, wanted, below)
        if size is not None:
            return size, None
        if spec.input_px is not None:
            return wanted, f"the network takes no input of {wanted} px"
        return wanted, f"the network takes no input from {wanted} to below its {base} px"


def plan_networks(
    specs: Sequence[str],
    *,
    weights: Mapping[str, str],
    dataset: Dataset,
    settings: Settings,
    search_path: Path,
    progress: Progress,
) -> list[NetworkPlan]:
    """Resolve, check and name everything that a build will make.

    Args:
        specs: architectures.
        weights: by architecture as in `specs`: `default`, `none` or a file.
        dataset: images; their classes must fit the networks.
        settings: what holds for all.
        search_path: folder from which the user's own networks can be imported.
        progress: told of downloads and hashing.

    Raises:
        UsageError: an architecture, the weights, the input size or the classes do not fit.
        DownloadError: published weights cannot be fetched.
    """
    architectures = {spec: resolve(spec, search_path=search_path) for spec in dict.fromkeys(specs)}
    if "default" in weights.values():
        # Before hundreds of megabytes are downloaded for classes that do not match.
        match_classes(dataset.folders, vision.IMAGENET_CLASSES, is_imagenet=True)
    found = [
        find_weights(weights[spec], architecture, progress)
        for spec, architecture in architectures.items()
    ]
    digest = dataset.digest(progress)
    plans = [_plan(one, dataset, digest, settings) for one in found]
    _check_names([variant.name for plan in plans for variant in plan.variants])
    return plans


def _plan(weights: Weights, dataset: Dataset, data_sha256: str, settings: Settings) -> NetworkPlan:
    architecture, recipe = weights.architecture, settings.recipe
    has_published = weights.published is not None
    is_free = weights.origin is Origin.RANDOM and dataset.labelled
    network = trial_network(architecture, len(dataset.folders) if is_free else weights.classes)
    asked = AskedInput(size=settings.input_size, standardization=settings.standardization)
    rule = input_rule(weights, network, asked)
    outputs = check_input(network, architecture.name, rule.input_size)
    classes = match_classes(
        dataset.folders, outputs, is_imagenet=has_published, resizable=architecture.resizable
    )
    epochs, tuning = settings.finetune_epochs, recipe.tuning
    plan = NetworkPlan(
        weights=weights,
        classes=classes,
        rule=rule,
        method=recipe.pruning.method(architecture.name),
        settings=settings,
        finetune_epochs=tuning.epochs if epochs is None else epochs,
        # Who wants no tuning wants none at smaller inputs either.
        resolution_epochs=0 if epochs == 0 else tuning.resolution_epochs,
        common={
            "source": architecture.source_sha256,
            "weights": weights.description,
            "data": data_sha256,
            "labels": classes.labels,
            "seed": settings.seed,
            "versions": versions(),
        },
        trial=network,
    )
    planned = [
        plan.plan(spec)
        for spec in asked_for(recipe, settings)
        # Variants of the full input are built at the network's own size anyhow.
        if spec.input_px != rule.input_size or spec in recipe.all_variants
    ]
    # A resolution that was asked for may be one that the recipe comes to by itself.
    distinct = {variant.inputs_sha256: variant for variant in planned}
    return dataclasses.replace(plan, variants=tuple(distinct.values()))


def asked_for(recipe: Recipe, settings: Settings) -> list[VariantSpec]:
    """Variants of the recipe, at each resolution, and of those in INT8 one for each engine."""
    specs = list(recipe.all_variants)
    for pixels in settings.resolutions:
        specs += [
            msgspec.structs.replace(spec, name=None, input_px=pixels)
            for spec in recipe.all_variants
            if not spec.is_resized
        ]
    others = [
        msgspec.structs.replace(spec, name=None, engine=engine.value)
        for engine in settings.engines[1:]
        for spec in specs
        if spec.quantize in INT8_SCHEMES and spec.engine is None
    ]
    return [*specs, *others]


def _digest(decisive: Mapping[str, object]) -> str:
    return hashlib.sha256(msgspec.json.encode(decisive)).hexdigest()


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            message = f"two variants would be named '{name}'; build them into separate folders"
            raise UsageError(message)
        if re.fullmatch(VARIANT_PATTERN, name) is None:
            message = f"variant name '{name}': expected {VARIANT_PATTERN}; shorten it"
            raise UsageError(message)
