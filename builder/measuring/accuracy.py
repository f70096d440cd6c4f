"""What predictions are held against: labels, or the baseline where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from builder.data.classes import Classes
from builder.data.dataset import Dataset, Sample
from builder.measuring.evaluation import Predictions
from contract.interval import pack_hits
from contract.manifest import Accuracy, AccuracyKind

_NO_OUTPUT = -1


@dataclass(frozen=True, kw_only=True)
class Exam:
    """Images and the outputs that are right for each."""

    kind: AccuracyKind
    #: Sorted, as a data set lists them.
    paths: Sequence[Path]
    #: int64 [N, widest], filled up with -1.
    answers: Tensor
    dataset: str

    @classmethod
    def of_labels(cls, dataset: Dataset, classes: Classes) -> Exam:
        """Hold predictions against the class folders of `val/`."""
        return cls._of_folders(dataset.val, dataset, classes)

    @classmethod
    def of_training_images(
        cls, dataset: Dataset, classes: Classes, *, most: int, seed: int
    ) -> Exam | None:
        """Hold predictions against the folders of some images of `train/`, drawn by `seed`.

        For decisions on the way, so that `val/` is left for the last word. None where there
        are no labels.
        """
        if not dataset.labelled:
            return None
        order = np.random.default_rng(seed).permutation(len(dataset.train))[:most]
        samples = [dataset.train[place] for place in sorted(order.tolist())]
        return cls._of_folders(samples, dataset, classes)

    @classmethod
    def _of_folders(cls, samples: Sequence[Sample], dataset: Dataset, classes: Classes) -> Exam:
        labelled = [(s.path, s.folder) for s in samples if s.folder is not None]
        return cls(
            kind=AccuracyKind.LABELS,
            paths=[path for path, _ in labelled],
            answers=_filled_up(classes.outputs)[[folder for _, folder in labelled]],
            dataset=dataset.name,
        )

    @classmethod
    def of_agreement(cls, dataset: Dataset, baseline: Predictions) -> Exam:
        """Hold predictions against the baseline's top-1 for the same images."""
        return cls(
            kind=AccuracyKind.AGREEMENT,
            paths=[sample.path for sample in dataset.val],
            answers=baseline.top[:, :1],
            dataset=dataset.name,
        )

    def grade(self, predictions: Predictions, engine: str | None) -> Accuracy:
        """Shares of images that are right; `engine` is what the predictions were made on."""
        hits = {k: predictions.hits_within(k, self.answers) for k in (1, 3, 5)}
        shares = {k: float(right.double().mean()) for k, right in hits.items()}
        return Accuracy(
            kind=self.kind,
            top1=shares[1],
            top3=shares[3],
            top5=shares[5],
            images=len(self.paths),
            dataset=self.dataset,
            engine=engine,
            hits=pack_hits(hits[1].tolist()),
        )


def _filled_up(outputs: Sequence[Sequence[int]]) -> Tensor:
    rows = [torch.tensor(numbers) for numbers in outputs]
    return pad_sequence(rows, batch_first=True, padding_value=_NO_OUTPUT)
