"""Tunes networks by the recipe: after pruning, for smaller inputs, and again where needed."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from builder.data.dataset import Dataset
from builder.data.preprocessing import resized
from builder.measuring.accuracy import Exam
from builder.measuring.evaluation import InMemory, predict
from builder.planning import NetworkPlan
from builder.progress import Progress
from builder.tuning.objective import Distillation, Example, Labels, Objective
from builder.tuning.schedule import Optimizer, Schedule
from builder.tuning.trainer import fit, settle
from contract.manifest import Scheme, Tuning


class Tutor:
    """Teaches networks made from one base, by labels or by the base's own answers."""

    def __init__(
        self,
        plan: NetworkPlan,
        *,
        dataset: Dataset,
        teacher: Callable[[], nn.Module],
        progress: Progress,
    ) -> None:
        """Tune by `plan` on images of `dataset`; `teacher` makes the base network."""
        self._plan = plan
        self._dataset = dataset
        self._teacher = teacher
        self._progress = progress
        self._name = plan.architecture.name
        self._seed = plan.settings.seed
        self._tuning = plan.settings.recipe.tuning
        self._examples = _examples(dataset, plan)
        self._distills = self._tuning.distill or not dataset.labelled

    def tune(
        self,
        network: nn.Module,
        epochs: int,
        after: str,
        rate: float,
        size: int | None = None,
    ) -> None:
        """Tune `network` in place.

        Args:
            network: in evaluation mode, as it is afterwards.
            epochs: none where 0.
            after: what was done to it, for people.
            rate: peak of the learning rate.
            size: side of its inputs in pixels; None for the base's.

        Raises:
            TuningError: the loss became infinite or not a number, or there are too few images.
            OSError: an image has gone.
        """
        if epochs == 0:
            return
        rule = self._tuning
        schedule = Schedule(
            epochs=epochs,
            batch_size=rule.batch_size,
            learning_rate=rate,
            optimizer=Optimizer.ADAM,
            one_cycle=rule.one_cycle,
            shift=rule.shift,
            mirror=rule.mirror,
            mixup=rule.mixup,
            shrink_to=size,
        )
        fit(
            network,
            self._examples,
            self._plan.rule,
            schedule,
            self._objective(),
            seed=self._seed,
            progress=self._progress,
            activity=f"{self._name}: tuning after {after}",
        )
        if rule.mixup > 0.0:
            # Statistics of overlaid images are not those of images. After tuning on plain ones
            # they are better left: seen, 83.4 against 83.0 % for ResNet-18 at half its width.
            self.settle(network, size or self._plan.rule.input_size)

    def _objective(self) -> Objective:
        if self._distills:
            return Distillation(self._teacher())
        return Labels()

    def record(self, epochs: int, rounds: int, rate: float, size: int | None) -> Tuning | None:
        """What the manifest says of it; None where nothing was tuned."""
        if epochs == 0:
            return None
        return Tuning(
            epochs=epochs,
            optimizer=Optimizer.ADAM,
            learning_rate=rate,
            images=len(self._examples),
            distilled=self._distills,
            rounds=rounds,
            input_size=size,
        )

    def settle(self, network: nn.Module, size: int) -> None:
        """Take the statistics of batch normalisation anew at `size` px, where the recipe says so.

        Raises:
            OSError: an image has gone.
        """
        if not self._tuning.reestimate:
            return
        settle(
            network,
            self._examples,
            resized(self._plan.rule, size),
            self._tuning.batch_size,
            seed=self._seed,
            progress=self._progress,
            activity=f"{self._name}: statistics of batch normalisation at {size} px",
        )

    def score(self, network: nn.Module) -> float:
        """Top-1 (share) on `val/`, as the network stands in memory; 0 without labels."""
        if not self._dataset.labelled:
            return 0.0
        exam = Exam.of_labels(self._dataset, self._plan.classes)
        predictions = predict(
            InMemory(network),
            exam.paths,
            self._plan.rule,
            Scheme.FP32,
            progress=self._progress,
            activity=f"{self._name}: comparing with what was pruned more",
        )
        return exam.grade(predictions, None).top1


def _examples(dataset: Dataset, plan: NetworkPlan) -> list[Example]:
    return [
        Example(
            path=sample.path,
            targets=() if sample.folder is None else plan.classes.outputs[sample.folder],
        )
        for sample in dataset.train
    ]
