"""The variants of one network: changed, exported, measured and put on the shelf."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import numpy as np

from builder.bundles.description import describe
from builder.bundles.exporting import export_bundle
from builder.bundles.shelf import Shelf
from builder.bundles.torchscript import ScriptedNetwork
from builder.data.dataset import Dataset
from builder.data.images import read_pixels, to_input
from builder.errors import BuilderError, UnsupportedError, plain_words
from builder.measuring.accuracy import Exam
from builder.measuring.evaluation import Predictions, predict
from builder.networks.complexity import count_work, list_blocks, stored_tensors
from builder.networks.pooling import fold_enlarging_pools
from builder.outcome import Outcome, Status
from builder.planning import NetworkPlan, StemPlan, VariantPlan
from builder.progress import Progress
from builder.quantizing import Quantizer
from builder.stems.maker import StemMaker
from builder.stems.store import Stem
from builder.workspace import Workspace
from contract.manifest import Accuracy, Manifest

_log = logging.getLogger(__name__)

_GOLDEN_IMAGES = 4


class NetworkBuild:
    """Builds the pending variants of one network, holding one network in floats at a time."""

    def __init__(
        self,
        plan: NetworkPlan,
        *,
        dataset: Dataset,
        shelf: Shelf,
        workspace: Workspace,
        now: Callable[[], datetime],
        progress: Progress,
    ) -> None:
        """Build what `plan` plans, with images of `dataset`, onto `shelf`."""
        self._plan = plan
        self._dataset = dataset
        self._shelf = shelf
        self._now = now
        self._progress = progress
        #: Makes the networks in floats; a search asks it what their layers can spare.
        self.stems = StemMaker(plan, dataset=dataset, workspace=workspace, progress=progress)
        self._quantizer = Quantizer(plan, dataset=dataset, workspace=workspace, progress=progress)
        # Where there are no labels the baseline's own answers make the exam.
        self._exam = Exam.of_labels(dataset, plan.classes) if dataset.labelled else None

    def run(self, variants: Sequence[VariantPlan]) -> Iterator[Outcome]:
        """Build `variants`, the base first and those that share a stem together."""
        ordered = sorted(variants, key=_place)
        for stem_plan in dict.fromkeys(variant.stem for variant in ordered):
            group = [variant for variant in ordered if variant.stem == stem_plan]
            try:
                stem = self.stems.make(stem_plan)
            except Exception as error:  # noqa: BLE001 - one group's failure must not end the others
                yield from (_missed(variant, error) for variant in group)
                continue
            for variant in group:
                yield self._attempt(variant, stem)
            # Before the next one is made: networks may be large.
            del stem

    def _attempt(self, variant: VariantPlan, stem: Stem) -> Outcome:
        try:
            with self._quantizer.selected(variant):
                manifest = self._make(variant, stem)
            member = self._shelf.add(variant.name)
        except Exception as error:  # noqa: BLE001 - one variant's failure must not end the others
            return _missed(variant, error)
        return Outcome(variant=variant.name, status=Status.BUILT, member=member, manifest=manifest)

    def _make(self, variant: VariantPlan, stem: Stem) -> Manifest:
        self._shelf.clear_leftovers(variant.name)
        places = np.linspace(0, len(self._dataset.val) - 1, _GOLDEN_IMAGES).astype(int)
        chosen = [self._dataset.val[place].path for place in dict.fromkeys(places.tolist())]
        golden = read_pixels(chosen, variant.rule)
        example = to_input(golden[:1], variant.rule)
        network, folded_pools = fold_enlarging_pools(stem.network, variant.rule.input_size)
        work = count_work(network, variant.rule.input_size)
        made = self._quantizer.quantize(variant, network, example, work)
        stored = list(stored_tensors(made.network))

        def write_manifest(exported: ScriptedNetwork) -> Manifest:
            return describe(
                variant,
                plan=self._plan,
                pruning=stem.papers.pruning,
                tuning=stem.papers.tuning,
                quantization=made.quantization,
                stored=stored,
                work=work,
                folded_pools=folded_pools,
                blocks=list_blocks(network, stored, work),
                accuracy=self._measure(exported, variant),
                data=self._dataset.name,
                built_at=self._now(),
            )

        return export_bundle(
            self._shelf.path_of(variant.name),
            made.network,
            golden=golden,
            rule=variant.rule,
            labels=self._plan.classes.labels,
            weight_bytes=sum(tensor.bytes for tensor in stored),
            describe=write_manifest,
        )

    def _measure(self, exported: ScriptedNetwork, variant: VariantPlan) -> Accuracy:
        if self._exam is None and not variant.spec.is_base:
            base = self._plan.base
            loaded = ScriptedNetwork.load(self._shelf.path_of(base.name))
            self._exam = Exam.of_agreement(self._dataset, self._predict(loaded, base))
        predictions = self._predict(exported, variant)
        if self._exam is None:
            self._exam = Exam.of_agreement(self._dataset, predictions)
        return self._exam.grade(predictions, variant.engine)

    def _predict(self, network: ScriptedNetwork, variant: VariantPlan) -> Predictions:
        return predict(
            network,
            [sample.path for sample in self._dataset.val],
            variant.rule,
            variant.spec.quantize,
            progress=self._progress,
            activity=f"{variant.name}: measuring accuracy",
        )


def _place(variant: VariantPlan) -> tuple[bool, float, int]:
    """The base, then what shares its weights, then from the most pruned to the least.

    In this order each is known not to fall below one pruned more when it is exported.
    """
    stem: StemPlan = variant.stem
    # Whole stems count as pruned by more than everything: they are not tuned, so come first.
    ratio = 1.0 if stem.prune_ratio is None else stem.prune_ratio
    return (not variant.spec.is_base, -ratio, stem.input_size or 0)


def _missed(variant: VariantPlan, error: Exception) -> Outcome:
    _log.debug("%s failed", variant.name, exc_info=error)
    known = isinstance(error, BuilderError | OSError)
    return Outcome(
        variant=variant.name,
        status=Status.UNSUPPORTED if isinstance(error, UnsupportedError) else Status.FAILED,
        reason=plain_words(error) if known else f"{type(error).__name__}: {error}",
    )
