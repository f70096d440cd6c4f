"""From a stem in floats to the numbers that a variant computes in."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from builder.data.dataset import Dataset
from builder.data.images import batch_size, read_pixels, to_input
from builder.measuring.accuracy import Exam
from builder.measuring.evaluation import InMemory, Predictions, predict
from builder.networks.complexity import Work
from builder.planning import NetworkPlan, VariantPlan
from builder.progress import Progress, tracked
from builder.quantization.bfloat16 import to_bfloat16
from builder.quantization.budget import Held, quantize_within
from builder.quantization.coverage import int8_macs
from builder.quantization.dynamic import quantize_linears
from builder.quantization.engine import Engine, engine_selected
from builder.quantization.static import quantize_graph
from builder.studies.store import StudyStore
from builder.workspace import Workspace
from contract.manifest import Quantization, Scheme

#: Images of `train/` that tell whether INT8 keeps within its budget. Not those of `val/`,
#: whose verdict would no longer be independent.
#: As many as the work allows, for single images must not decide: of 512, two are 0.4 points.
_FEWEST_IMAGES, _MOST_IMAGES = 512, 4096
#: About two minutes in FP32 on one core of 2023.
_EXAM_MACS = 6e12


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quantized:
    """A network as it will be exported, and what the manifest says of its numbers."""

    network: nn.Module
    quantization: Quantization


class Quantizer:
    """Turns stems of one network into its variants' number formats."""

    def __init__(
        self,
        plan: NetworkPlan,
        *,
        dataset: Dataset,
        workspace: Workspace,
        progress: Progress,
    ) -> None:
        """Quantize for `plan`, calibrating on `dataset`."""
        self._plan = plan
        self._dataset = dataset
        self._studies = StudyStore(workspace.studies)
        self._progress = progress
        self._rule = plan.settings.recipe.quantization

    def selected(self, variant: VariantPlan) -> contextlib.AbstractContextManager[None]:
        """Context in which the variant's integer kernels are selected."""
        return engine_selected(variant.engine) if variant.engine else contextlib.nullcontext()

    def quantize(
        self, variant: VariantPlan, network: nn.Module, example: Tensor, work: Work
    ) -> Quantized:
        """The variant's network; `network`, the stem, stays as it is.

        Args:
            variant: whose engine is selected.
            network: in floats, in evaluation mode.
            example: an input that it takes, float32 [1, 3, H, W].
            work: of `network`, for the share of MACs that run in INT8.

        Raises:
            UnsupportedError: the network cannot have this scheme.
        """
        held: Held | None = None
        match variant.spec.quantize:
            case Scheme.FP32:
                quantized = network
            case Scheme.DYNAMIC_INT8:
                quantized = quantize_linears(network, example)
            case Scheme.BF16:
                quantized = to_bfloat16(network, example)
            case Scheme.STATIC_INT8:
                held = self._static(variant, network, _engine_of(variant), work)
                quantized = held.network
        share = int8_macs(quantized, example) / max(1, work.total_macs)
        return Quantized(
            network=quantized,
            quantization=Quantization(
                scheme=variant.spec.quantize,
                engine=variant.engine,
                int8_mac_share=min(1.0, share),
                calibration_images=0 if held is None else len(self._paths()),
                float_layers=[] if held is None else list(held.float_layers),
            ),
        )

    def _static(self, variant: VariantPlan, network: nn.Module, engine: Engine, work: Work) -> Held:
        inputs = self._inputs(variant)
        if self._rule.max_top1_drop is None:
            quantized = quantize_graph(network, inputs, engine)
            return Held(network=quantized, float_layers=(), drop=0.0, damages=())
        exam = self._exam(network, variant, work)
        in_floats = self._top1(exam, network, variant, "in floats")
        held = quantize_within(
            network,
            list(inputs),
            engine,
            drop_of=lambda candidate: in_floats - self._top1(exam, candidate, variant, "in INT8"),
            max_drop=self._rule.max_top1_drop,
            progress=self._progress,
            activity=f"{variant.name}: measuring what each layer loses in INT8",
        )
        if held.damages:
            self._studies.keep_damages(variant.name, held.damages)
        return held

    def _exam(self, network: nn.Module, variant: VariantPlan, work: Work) -> Exam:
        affordable = int(_EXAM_MACS / max(1, work.total_macs))
        labelled = Exam.of_training_images(
            self._dataset,
            self._plan.classes,
            most=min(_MOST_IMAGES, max(_FEWEST_IMAGES, affordable)),
            seed=self._seed,
        )
        if labelled is not None:
            return labelled
        # Without labels what the network said in floats is right.
        return Exam.of_agreement(self._dataset, self._predict(network, variant, "in floats"))

    def _top1(self, exam: Exam, network: nn.Module, variant: VariantPlan, how: str) -> float:
        return exam.grade(self._predict(network, variant, how, exam.paths), None).top1

    def _predict(
        self,
        network: nn.Module,
        variant: VariantPlan,
        how: str,
        paths: Sequence[Path] | None = None,
    ) -> Predictions:
        return predict(
            InMemory(network),
            [sample.path for sample in self._dataset.val] if paths is None else paths,
            variant.rule,
            Scheme.STATIC_INT8,
            progress=self._progress,
            activity=f"{variant.name}: top-1 {how}",
        )

    @property
    def _seed(self) -> int:
        return self._plan.settings.seed

    def _paths(self) -> list[Path]:
        samples = self._dataset.train
        count = min(len(samples), self._rule.calibration_images)
        noise = np.random.default_rng(self._seed)
        chosen = noise.choice(len(samples), count, replace=False)
        return [samples[place].path for place in sorted(chosen.tolist())]

    def _inputs(self, variant: VariantPlan) -> Iterator[Tensor]:
        paths = self._paths()
        size = batch_size(variant.rule.input_size)
        batches = [paths[start : start + size] for start in range(0, len(paths), size)]
        activity = f"{variant.name}: calibrating"
        for batch in tracked(batches, self._progress, activity, len(batches)):
            yield to_input(read_pixels(batch, variant.rule), variant.rule)


def _engine_of(variant: VariantPlan) -> Engine:
    if variant.engine is None:
        message = f"{variant.name} is planned without an engine"
        raise ValueError(message)
    return variant.engine
