"""The variants of one network: changed, exported, measured and put on the shelf."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from builder.bundles.description import describe
from builder.bundles.exporting import export_bundle
from builder.bundles.shelf import Shelf
from builder.bundles.torchscript import ScriptedNetwork
from builder.data.dataset import Dataset
from builder.data.images import batch_size, read_pixels, to_input
from builder.errors import BuilderError, UnsupportedError
from builder.measuring.accuracy import Exam
from builder.measuring.evaluation import Predictions, predict
from builder.networks.complexity import count_work, list_blocks, stored_tensors
from builder.outcome import Outcome, Status
from builder.planning import NetworkPlan, Settings, VariantPlan
from builder.progress import Progress, tracked
from builder.pruning.surgery import IMPORTANCE, prune
from builder.quantization.dynamic import quantize_linears
from builder.quantization.engine import engine_selected
from builder.quantization.static import int8_modules, quantize_graph
from builder.tuning.trainer import Example, Optimizer, Schedule, fit
from contract.manifest import (
    Accuracy,
    Manifest,
    Pruning,
    Quantization,
    Scheme,
    Tuning,
)

_log = logging.getLogger(__name__)

_GOLDEN_IMAGES = 4


@dataclass(frozen=True, kw_only=True)
class _Stem:
    """A network in floats that several variants share: as it came, or pruned and tuned."""

    network: nn.Module
    pruning: Pruning | None
    tuning: Tuning | None


class NetworkBuild:
    """Builds the pending variants of one network, holding one network in floats at a time."""

    def __init__(
        self,
        plan: NetworkPlan,
        *,
        dataset: Dataset,
        shelf: Shelf,
        settings: Settings,
        now: Callable[[], datetime],
        progress: Progress,
    ) -> None:
        self._plan = plan
        self._dataset = dataset
        self._shelf = shelf
        self._settings = settings
        self._now = now
        self._progress = progress
        # Where there are no labels the baseline's own answers make the exam.
        self._exam = Exam.of_labels(dataset, plan.classes) if dataset.labelled else None

    def run(self, variants: Sequence[VariantPlan]) -> Iterator[Outcome]:
        """Build `variants`, the base first and those that share pruning together."""
        ordered = sorted(variants, key=lambda v: (v.spec.prune_ratio or 0.0, not v.spec.is_base))
        for ratio in dict.fromkeys(variant.spec.prune_ratio for variant in ordered):
            group = [variant for variant in ordered if variant.spec.prune_ratio == ratio]
            try:
                stem = self._stem(ratio)
            except Exception as error:  # noqa: BLE001 - one group's failure must not end the others
                yield from (_missed(variant, error) for variant in group)
                continue
            for variant in group:
                yield self._attempt(variant, stem)
            # Before the next one is made: networks may be large.
            del stem

    def _attempt(self, variant: VariantPlan, stem: _Stem) -> Outcome:
        try:
            with self._engine_of(variant):
                manifest = self._make(variant, stem)
            member = self._shelf.add(variant.name)
        except Exception as error:  # noqa: BLE001 - one variant's failure must not end the others
            return _missed(variant, error)
        return Outcome(variant=variant.name, status=Status.BUILT, member=member, manifest=manifest)

    def _stem(self, ratio: float | None) -> _Stem:
        plan = self._plan
        network = plan.weights.network(len(plan.classes.labels), self._settings.seed)
        if ratio is None:
            return _Stem(network=network, pruning=None, tuning=None)
        size = plan.rule.input_size
        surgery = prune(network, input_size=size, ratio=ratio, deepest=plan.deepest)
        for layer in surgery.left_alone:
            _log.info("%s: not pruned: %s", plan.architecture.name, layer)
        pruning = Pruning(ratio=ratio, importance=IMPORTANCE, layers=list(surgery.layers))
        return _Stem(network=network, pruning=pruning, tuning=self._tune(network, ratio))

    def _tune(self, network: nn.Module, ratio: float) -> Tuning | None:
        rule = self._settings.recipe.tuning
        if self._plan.finetune_epochs == 0:
            return None
        examples = [
            Example(path=sample.path, target=self._plan.classes.outputs[sample.folder][0])
            for sample in self._dataset.train
            if sample.folder is not None
        ]
        schedule = Schedule(
            epochs=self._plan.finetune_epochs,
            batch_size=rule.batch_size,
            learning_rate=rule.learning_rate,
            optimizer=Optimizer.ADAM,
        )
        fit(
            network,
            examples,
            self._plan.rule,
            schedule,
            seed=self._settings.seed,
            progress=self._progress,
            activity=f"{self._plan.architecture.name}: tuning after pruning {ratio:.0%}",
        )
        return Tuning(
            epochs=schedule.epochs,
            optimizer=schedule.optimizer,
            learning_rate=schedule.learning_rate,
            images=len(examples),
        )

    def _make(self, variant: VariantPlan, stem: _Stem) -> Manifest:
        self._shelf.clear_leftovers(variant.name)
        places = np.linspace(0, len(self._dataset.val) - 1, _GOLDEN_IMAGES).astype(int)
        chosen = [self._dataset.val[place].path for place in dict.fromkeys(places.tolist())]
        golden = read_pixels(chosen, variant.rule)
        example = to_input(golden[:1], variant.rule)
        network = self._quantized(variant, stem.network, example)
        work = count_work(stem.network, variant.rule.input_size)
        stored = list(stored_tensors(network))
        scheme = variant.spec.quantize
        int8_macs = sum(work.macs.get(name, 0) for name in int8_modules(network))
        quantization = Quantization(
            scheme=scheme,
            engine=None if scheme is Scheme.FP32 else self._settings.engine,
            int8_mac_share=int8_macs / max(1, work.total_macs),
            calibration_images=(
                len(self._calibration_samples()) if scheme is Scheme.STATIC_INT8 else 0
            ),
        )

        def write_manifest(exported: ScriptedNetwork) -> Manifest:
            return describe(
                variant,
                plan=self._plan,
                recipe=self._settings.recipe.name,
                pruning=stem.pruning,
                tuning=stem.tuning,
                quantization=quantization,
                stored=stored,
                work=work,
                blocks=list_blocks(stem.network, stored, work),
                accuracy=self._measure(exported, variant),
                data=self._dataset.name,
                seed=self._settings.seed,
                built_at=self._now(),
            )

        return export_bundle(
            self._shelf.path_of(variant.name),
            network,
            golden=golden,
            rule=variant.rule,
            labels=self._plan.classes.labels,
            weight_bytes=sum(tensor.bytes for tensor in stored),
            describe=write_manifest,
        )

    def _engine_of(self, variant: VariantPlan) -> contextlib.AbstractContextManager[None]:
        if variant.spec.quantize is Scheme.FP32:
            return contextlib.nullcontext()
        return engine_selected(self._settings.engine)

    def _quantized(self, variant: VariantPlan, network: nn.Module, example: Tensor) -> nn.Module:
        match variant.spec.quantize:
            case Scheme.FP32:
                return network
            case Scheme.DYNAMIC_INT8:
                return quantize_linears(network, example)
            case Scheme.STATIC_INT8:
                return quantize_graph(
                    network, self._calibration_inputs(variant), self._settings.engine
                )
            case Scheme.BF16:
                message = "bfloat16 cannot be built yet"
                raise UnsupportedError(message)

    def _calibration_samples(self) -> list[Path]:
        samples = self._dataset.train
        count = min(len(samples), self._settings.recipe.calibration_images)
        noise = np.random.default_rng(self._settings.seed)
        chosen = noise.choice(len(samples), count, replace=False)
        return [samples[place].path for place in sorted(chosen.tolist())]

    def _calibration_inputs(self, variant: VariantPlan) -> Iterator[Tensor]:
        paths = self._calibration_samples()
        size = batch_size(variant.rule.input_size)
        batches = [paths[start : start + size] for start in range(0, len(paths), size)]
        activity = f"{variant.name}: calibrating"
        for batch in tracked(batches, self._progress, activity, len(batches)):
            yield to_input(read_pixels(batch, variant.rule), variant.rule)

    def _measure(self, exported: ScriptedNetwork, variant: VariantPlan) -> Accuracy:
        if self._exam is None and not variant.spec.is_base:
            base = self._plan.base
            loaded = ScriptedNetwork.load(self._shelf.path_of(base.name))
            self._exam = Exam.of_agreement(self._dataset, self._predict(loaded, base))
        predictions = self._predict(exported, variant)
        if self._exam is None:
            self._exam = Exam.of_agreement(self._dataset, predictions)
        scheme = variant.spec.quantize
        engine = None if scheme is Scheme.FP32 else self._settings.engine
        return self._exam.grade(predictions, engine)

    def _predict(self, network: ScriptedNetwork, variant: VariantPlan) -> Predictions:
        return predict(
            network,
            [sample.path for sample in self._dataset.val],
            variant.rule,
            variant.spec.quantize,
            progress=self._progress,
            activity=f"{variant.name}: measuring accuracy",
        )


def _missed(variant: VariantPlan, error: Exception) -> Outcome:
    _log.debug("%s failed", variant.name, exc_info=error)
    known = isinstance(error, BuilderError | OSError)
    return Outcome(
        variant=variant.name,
        status=Status.UNSUPPORTED if isinstance(error, UnsupportedError) else Status.FAILED,
        reason=str(error) if known else f"{type(error).__name__}: {error}",
    )
