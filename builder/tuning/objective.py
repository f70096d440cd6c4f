"""What a network is trained towards: labels, or the answers of another network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from builder.tuning.set_loss import membership_of, set_loss

#: Softer answers tell more of the classes that are not the first (Hinton et al., section 2).
_TEMPERATURE = 4.0


@dataclass(frozen=True, kw_only=True)
class Example:
    """One training image and the outputs that are right for it; none where nobody knows."""

    path: Path
    targets: tuple[int, ...]


class Objective(Protocol):
    """Turns a network's answers to a batch into a loss."""

    def loss(self, logits: Tensor, inputs: Tensor, batch: Sequence[Example]) -> Tensor:
        """Mean loss (nats) of `logits` [N, C] for `inputs` [N, 3, H, W] made from `batch`."""


class Labels:
    """Cross entropy against what is right for each image."""

    def loss(self, logits: Tensor, inputs: Tensor, batch: Sequence[Example]) -> Tensor:
        """Mean loss (nats); several outputs may be right for an image."""
        del inputs
        membership = membership_of([example.targets for example in batch], logits.shape[1])
        return set_loss(logits, membership)


class Distillation:
    """Divergence from the answers of a teacher, which needs no labels.

    The teacher sees the very view that the network sees, augmented and mixed alike: "function
    matching" after Beyer et al., "Knowledge distillation: A good teacher is patient and
    consistent" (2022); Hinton et al., "Distilling the Knowledge in a Neural Network" (2015).
    """

    def __init__(self, teacher: nn.Module) -> None:
        """Learn from `teacher`, in evaluation mode; it is not changed."""
        self._teacher = teacher

    def loss(self, logits: Tensor, inputs: Tensor, batch: Sequence[Example]) -> Tensor:
        """Mean Kullback-Leibler divergence of the teacher's answers from `logits`, softened.

        At a temperature of 4, and times its square, so that gradients keep their size.
        """
        del batch
        with torch.inference_mode():
            answers = (self._teacher(inputs) / _TEMPERATURE).log_softmax(dim=1)
        soft = (logits / _TEMPERATURE).log_softmax(dim=1)
        # Out of inference mode, which autograd does not let into its graph.
        loss = functional.kl_div(soft, answers.clone(), log_target=True, reduction="batchmean")
        return loss * _TEMPERATURE**2
