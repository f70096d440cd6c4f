"""Keeps the evaluation set of a bundle set in step with what is built."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

import msgspec
from msgspec.structs import replace

from builder.bundles.shelf import Shelf
from builder.bundles.torchscript import ScriptedNetwork
from builder.data.dataset import Dataset
from builder.errors import BuilderError
from builder.evalset.archive import Numbers, answers_for, architectures_in, pack
from builder.evalset.drawing import Drawn, draw
from builder.measuring.accuracy import Exam
from builder.measuring.evaluation import predict
from builder.planning import NetworkPlan
from builder.progress import Progress
from contract.bundleset import BundleSet, verify_member
from contract.errors import BundleDamagedError
from contract.evalset import EVALSET_NAME, MAX_EVALSET_BYTES, Evalset
from contract.files import write_atomically
from contract.manifest import Scheme

_log = logging.getLogger(__name__)

DEFAULT_IMAGES = 200


class EvalsetKeeper:
    """Writes the evaluation set, for every network whose base stands on the shelf."""

    def __init__(self, shelf: Shelf, *, wanted: int | None, progress: Progress) -> None:
        """Keep `wanted` images: 0 for no evaluation set, None for as many as there were."""
        self._shelf = shelf
        self._wanted = wanted
        self._progress = progress
        self._done: set[str] = set()

    def lacks(self, plan: NetworkPlan) -> bool:
        """Whether something is to be done although nothing was built."""
        present = self._shelf.bundle_set
        if self._wanted == 0:
            return present.evalset is not msgspec.UNSET
        if present.evalset is msgspec.UNSET or self._wanted not in {None, present.evalset.wanted}:
            return True
        known = architectures_in(self._shelf.folder / EVALSET_NAME)
        is_known = plan.architecture.name in known
        return not (is_known and _is_whole(present, self._shelf.folder))

    def keep(self, plan: NetworkPlan, dataset: Dataset) -> None:
        """Write images of `dataset` and the network's right outputs, where that changes anything.

        Other networks' outputs stay as long as the images are the same. What goes wrong is a
        warning: the bundles are good without. A second call for a network does nothing.
        """
        if plan.architecture.name in self._done:
            return
        base = plan.base
        if self._shelf.finished(base.name, base.inputs_sha256) is None:
            return
        self._done.add(plan.architecture.name)
        try:
            if self._wanted == 0:
                self._remove()
            else:
                self._write(plan, dataset)
        except (BuilderError, OSError) as error:
            _log.warning("no evaluation set for %s: %s", plan.architecture.name, error)

    def _write(self, plan: NetworkPlan, dataset: Dataset) -> None:
        present = self._shelf.bundle_set.evalset
        before = DEFAULT_IMAGES if present is msgspec.UNSET else present.wanted
        wanted = before if self._wanted is None else self._wanted
        drawn = draw(dataset, wanted)
        if not drawn.files:
            return
        answers = self._answers(plan, dataset, drawn)
        path = self._shelf.folder / EVALSET_NAME

        def renewed(bundle_set: BundleSet) -> BundleSet:
            # Of a file that somebody edited nothing is taken over.
            is_whole = _is_whole(bundle_set, self._shelf.folder)
            kept = answers_for(path, drawn) if is_whole else {}
            lost = architectures_in(path) - {*kept, plan.architecture.name}
            content = pack(drawn, kept | {plan.architecture.name: answers})
            if len(content) > MAX_EVALSET_BYTES:
                message = (
                    f"{len(content)} bytes with all networks' answers: give a smaller --evalset"
                )
                raise BuilderError(message)
            evalset = Evalset(
                bytes=len(content),
                sha256=hashlib.sha256(content).hexdigest(),
                images=len(drawn.files),
                wanted=wanted,
                dataset=dataset.name,
                drawn_from=len(dataset.val),
            )
            if evalset != bundle_set.evalset or not is_whole:
                write_atomically(path, content)
            if lost:
                _log.warning(
                    "the evaluation set has other images now; build %s again to add its answers",
                    ", ".join(sorted(lost)),
                )
            return replace(bundle_set, evalset=evalset)

        self._shelf.edit(renewed)

    def _answers(self, plan: NetworkPlan, dataset: Dataset, drawn: Drawn) -> Numbers:
        """Right outputs of the drawn images: int64 [N, widest]."""
        if dataset.labelled:
            exam = Exam.of_labels(dataset, plan.classes)
            return exam.answers[list(drawn.positions)].numpy()
        base = plan.base
        predictions = predict(
            ScriptedNetwork.load(self._shelf.path_of(base.name)),
            [dataset.val[position].path for position in drawn.positions],
            base.rule,
            Scheme.FP32,
            progress=self._progress,
            activity=f"{base.name}: answers of the evaluation set",
        )
        return predictions.top[:, :1].numpy()

    def _remove(self) -> None:
        if self._shelf.bundle_set.evalset is not msgspec.UNSET:
            self._shelf.edit(lambda present: replace(present, evalset=msgspec.UNSET))
            (self._shelf.folder / EVALSET_NAME).unlink(missing_ok=True)


def _is_whole(bundle_set: BundleSet, folder: Path) -> bool:
    """Whether the file is there and the one that `set.json` names."""
    if bundle_set.evalset is msgspec.UNSET:
        return False
    try:
        verify_member(folder, bundle_set.evalset)
    except BundleDamagedError:
        return False
    return True
