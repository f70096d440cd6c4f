"""Makes stems: prunes and tunes in rounds, adapts to smaller inputs."""

from __future__ import annotations

import dataclasses
import logging
import math
from collections.abc import Sequence

import msgspec
from torch import nn

from builder.data.dataset import Dataset
from builder.errors import NothingToPruneError
from builder.planning import NetworkPlan, StemPlan
from builder.progress import Progress
from builder.pruning.method import Allotment, Importance
from builder.pruning.surgery import Surgery, prune
from builder.stems.scout import Scout
from builder.stems.store import Papers, Stem, StemStore
from builder.stems.tutor import Tutor
from builder.workspace import Workspace
from contract.manifest import PrunedLayer, Pruning

_log = logging.getLogger(__name__)

#: A retry goes on from where the first tuning ended, so more gently.
_RETRY_RATE = 0.3


class StemMaker:
    """Makes the stems of one network, or takes those that were kept."""

    def __init__(
        self,
        plan: NetworkPlan,
        *,
        dataset: Dataset,
        workspace: Workspace,
        progress: Progress,
    ) -> None:
        """Make stems for `plan`, tuned on `dataset`, kept in `workspace`."""
        self._plan = plan
        self._name = plan.architecture.name
        self._tuning = plan.settings.recipe.tuning
        self._store = StemStore(workspace.stems, self._name)
        self._scout = Scout(plan, dataset=dataset, workspace=workspace, progress=progress)
        self._tutor = Tutor(plan, dataset=dataset, teacher=self.whole, progress=progress)
        #: Top-1 of tuned stems by ratio, each to be no worse than those pruned more.
        self._top1: dict[float, float] = {}

    def whole(self) -> nn.Module:
        """The network as it came, in evaluation mode."""
        return self._plan.weights.network(len(self._plan.classes.labels), self._plan.settings.seed)

    def make(self, stem: StemPlan) -> Stem:
        """The network behind `stem`: kept from an earlier build, or made now.

        Raises:
            UnsupportedError: the network cannot be pruned.
            TuningError: tuning failed.
            OSError: an image has gone, or the workspace cannot be written.
        """
        made = self._store.load(
            stem.inputs_sha256,
            self.whole,
            input_size=self._plan.rule.input_size,
            method=self._plan.method,
        )
        if made is None:
            made = self._make(stem)
            if made.papers.tuning is not None:
                self._store.save(stem.inputs_sha256, made)
        if stem.prune_ratio is not None and stem.input_size is None:
            self._top1[stem.prune_ratio] = made.papers.top1 or 0.0
        return made

    def _make(self, stem: StemPlan) -> Stem:
        if stem.input_size is not None:
            return self._adapted(stem, stem.input_size)
        if stem.prune_ratio is not None:
            return self._pruned(stem.prune_ratio)
        return Stem(network=self.whole(), papers=Papers())

    def sketch(self, ratio: float) -> tuple[nn.Module, float]:
        """An untuned network of that ratio, for its shapes, and the loss (nats) it may add.

        Raises:
            UnsupportedError: the network cannot be pruned.
        """
        method = dataclasses.replace(
            self._plan.method, allotment=Allotment.SENSITIVITY, compensate=False
        )
        if method.importance is Importance.TAYLOR:
            # Which filters go does not matter here, and telling them takes images.
            method = dataclasses.replace(method, importance=Importance.L2)
        network = self.whole()
        surgery = prune(
            network,
            input_size=self._plan.rule.input_size,
            ratio=ratio,
            method=method,
            sensitivity=self._scout.sensitivity_of_whole,
        )
        return network, surgery.expected_loss or 0.0

    def _pruned(self, ratio: float) -> Stem:
        rule, method = self._plan.settings.recipe.pruning, self._plan.method
        network = self.whole()
        steps = rule.steps(ratio)
        surgeries: list[Surgery] = []
        sensitivity = self._scout.sensitivity_of_whole
        for number, step in enumerate(steps, start=1):
            try:
                surgery = prune(
                    network,
                    input_size=self._plan.rule.input_size,
                    ratio=step,
                    method=method,
                    inputs=self._scout.surgery_inputs(network) if method.reads_images else (),
                    sensitivity=sensitivity,
                )
            except NothingToPruneError:
                if not surgeries:
                    raise
                # Narrow networks are down to what they may keep after a few rounds.
                break
            surgeries.append(surgery)
            sensitivity = self._scout.sensitivity
            self._tutor.settle(network, self._plan.rule.input_size)
            if number < len(steps):
                epochs = min(self._plan.finetune_epochs, self._tuning.round_epochs)
                what = f"round {number} of pruning {ratio:.0%}"
                self._tutor.tune(network, epochs, what, self._tuning.rate(ratio))
        epochs = self._plan.finetune_epochs
        self._tutor.tune(network, epochs, f"pruning {ratio:.0%}", self._tuning.rate(ratio))
        layers = _joined(surgeries)
        left_alone = _never_cut(surgeries)
        for reason in left_alone:
            _log.info("%s: not pruned: %s", self._name, reason)
        papers = Papers(
            pruning=Pruning(
                ratio=ratio,
                importance=method.importance,
                allotment=method.allotment,
                round_to=method.round_to,
                layers=layers,
                left_alone=left_alone,
            ),
            tuning=self._tutor.record(epochs, len(surgeries), self._tuning.rate(ratio), None),
            rounds=[list(surgery.cuts) for surgery in surgeries],
        )
        return self._no_worse_than_narrower(Stem(network=network, papers=papers), ratio)

    def _no_worse_than_narrower(self, stem: Stem, ratio: float) -> Stem:
        """Tune again while a stem that was pruned more has answered more images right."""
        tuning = stem.papers.tuning
        if tuning is None or self._tuning.retries == 0:
            return stem
        goal = max((top1 for other, top1 in self._top1.items() if other > ratio), default=0.0)
        top1, epochs = self._tutor.score(stem.network), tuning.epochs
        gentler = tuning.learning_rate * _RETRY_RATE
        for _ in range(self._tuning.retries):
            if top1 >= goal:
                break
            before = {name: tensor.clone() for name, tensor in stem.network.state_dict().items()}
            more = math.ceil(self._plan.finetune_epochs / 2)
            self._tutor.tune(stem.network, more, f"pruning {ratio:.0%}, once more", gentler)
            again = self._tutor.score(stem.network)
            if again >= top1:
                top1, epochs = again, epochs + more
            else:
                stem.network.load_state_dict(before)
        papers = msgspec.structs.replace(
            stem.papers, top1=top1, tuning=msgspec.structs.replace(tuning, epochs=epochs)
        )
        return Stem(network=stem.network, papers=papers)

    def _adapted(self, stem: StemPlan, size: int) -> Stem:
        parent = self.make(self._plan.stem(stem.prune_ratio, self._plan.rule.input_size))
        self._tutor.settle(parent.network, size)
        epochs, rate = self._plan.resolution_epochs, self._tuning.learning_rate
        self._tutor.tune(parent.network, epochs, f"resizing to {size} px", rate, size=size)
        own = self._tutor.record(epochs, 1, rate, size)
        before = parent.papers.tuning
        if before is not None:
            own = msgspec.structs.replace(before, epochs=before.epochs + epochs, input_size=size)
        return Stem(
            network=parent.network, papers=msgspec.structs.replace(parent.papers, tuning=own)
        )


def _joined(surgeries: Sequence[Surgery]) -> list[PrunedLayer]:
    """Widths before the first round and after the last."""
    layers: dict[str, PrunedLayer] = {}
    for surgery in surgeries:
        for layer in surgery.layers:
            first = layers.get(layer.name, layer)
            layers[layer.name] = msgspec.structs.replace(
                layer, channels_before=first.channels_before
            )
    return list(layers.values())


def _never_cut(surgeries: Sequence[Surgery]) -> list[str]:
    """Convolutions that lost nothing in any round, with the reasons of the last."""
    cut = {layer.name for surgery in surgeries for layer in surgery.layers}
    return [reason for reason in surgeries[-1].left_alone if reason.partition(" ")[0] not in cut]
