"""How long, how boldly and on what views of the images to train."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from contract.manifest import Preprocessing

_WEIGHT_DECAY = 1e-2


class Optimizer(enum.StrEnum):
    """How weights follow their gradients."""

    ADAM = "adam"
    ADAMW = "adamw"


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how boldly to train."""

    epochs: int
    batch_size: int
    #: Peak of the one-cycle schedule where that is used, else constant.
    learning_rate: float
    optimizer: Optimizer
    #: Learning rate that rises and falls once (Smith, "Super-Convergence", 2018).
    one_cycle: bool = False
    #: Randomly shifted images.
    shift: bool = False
    #: Every second image mirrored: not for digits, letters or signs.
    mirror: bool = False
    #: Images overlaid in pairs, in proportions drawn from Beta(mixup, mixup) (Zhang et al.,
    #: "mixup", 2018); 0 for none. Only where a teacher answers for what no label fits.
    mixup: float = 0.0
    #: Side in pixels that the network sees the images at, while a teacher sees them whole.
    shrink_to: int | None = None
    #: Rule of a smaller input that from the third epoch on one batch in three is trained
    #: at (multi-scale training: Redmon and Farhadi, "YOLO9000", 2017).
    smaller: Preprocessing | None = None

    def make_optimizer(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Optimizer of these parameters at the schedule's learning rate."""
        # Fused: seen on one core, 7 ms instead of 93 ms a step for ResNet-18.
        if self.optimizer is Optimizer.ADAM:
            return torch.optim.Adam(parameters, lr=self.learning_rate, fused=True)
        return torch.optim.AdamW(
            parameters, lr=self.learning_rate, weight_decay=_WEIGHT_DECAY, fused=True
        )

    def make_cycle(
        self, optimizer: torch.optim.Optimizer, steps: int
    ) -> torch.optim.lr_scheduler.LRScheduler | None:
        """Course of the learning rate over so many steps; None where it is constant."""
        if not self.one_cycle:
            return None
        return torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.learning_rate, total_steps=steps + 1
        )
