"""What predictions are held against: labels, or the baseline where there are none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from builder.data.classes import Classes
from builder.data.dataset import Dataset
from builder.measuring.evaluation import Predictions
from contract.manifest import Accuracy, AccuracyKind


@dataclass(frozen=True, kw_only=True)
class Exam:
    """Images and the output that is right for each."""

    kind: AccuracyKind
    paths: Sequence[Path]
    #: int64 [N].
    targets: Tensor
    dataset: str

    @classmethod
    def of_labels(cls, dataset: Dataset, classes: Classes) -> Exam:
        """Hold predictions against the class folders of `val/`."""
        labelled = [
            (s.path, classes.outputs[s.folder]) for s in dataset.val if s.folder is not None
        ]
        return cls(
            kind=AccuracyKind.LABELS,
            paths=[path for path, _ in labelled],
            targets=torch.tensor([output for _, output in labelled]),
            dataset=dataset.name,
        )

    @classmethod
    def of_agreement(cls, dataset: Dataset, baseline: Predictions) -> Exam:
        """Hold predictions against the baseline's top-1 for the same images."""
        return cls(
            kind=AccuracyKind.AGREEMENT,
            paths=[sample.path for sample in dataset.val],
            targets=baseline.top[:, 0],
            dataset=dataset.name,
        )

    def grade(self, predictions: Predictions, engine: str | None) -> Accuracy:
        """Shares of images that are right; `engine` is what the predictions were made on."""
        return Accuracy(
            kind=self.kind,
            top1=predictions.share_within(1, self.targets),
            top3=predictions.share_within(3, self.targets),
            top5=predictions.share_within(5, self.targets),
            images=len(self.targets),
            dataset=self.dataset,
            engine=engine,
        )
