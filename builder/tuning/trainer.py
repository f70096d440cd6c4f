"""Training: from scratch, from given weights, and the short tuning after surgery."""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from builder.data.images import Pixels, read_pixels, to_input
from builder.errors import TuningError
from builder.progress import Progress, tracked
from contract.manifest import Preprocessing

#: Batch normalisation has no variance of a single image.
_SMALLEST_BATCH = 2
_WEIGHT_DECAY = 1e-2
#: Random shifts by up to this share of the input, which no class minds.
_SHIFT_SHARE = 1 / 16
_SMALLER_SHARE = 1 / 3
#: Seen on digits: VGG-19 with batch norm learns in two epochs at one size what it does not
#: at two sizes (96 % against 19 %).
_EPOCHS_AT_ONE_SIZE = 2


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
    augment: bool = False
    #: Rule of a smaller input that from the third epoch on one batch in three is trained
    #: at (multi-scale training: Redmon and Farhadi, "YOLO9000", 2017).
    smaller: Preprocessing | None = None


@dataclass(frozen=True, kw_only=True)
class Example:
    """One training image and the output that should be highest for it."""

    path: Path
    target: int


def fit(
    network: nn.Module,
    examples: Sequence[Example],
    rule: Preprocessing,
    schedule: Schedule,
    *,
    seed: int,
    progress: Progress,
    activity: str,
) -> float:
    """Train `network` in place; the mean loss of the last epoch (cross entropy, nats).

    Afterwards the network is in evaluation mode and holds no gradients.

    Raises:
        TuningError: fewer than two images, or the loss became infinite or not a number.
    """
    if len(examples) < _SMALLEST_BATCH:
        message = f"training needs at least {_SMALLEST_BATCH} images, got {len(examples)}"
        raise TuningError(message)
    noise = np.random.default_rng(seed)
    batches_per_epoch = math.ceil(len(examples) / schedule.batch_size)
    optimizer = _optimizer(network, schedule)
    cycle = (
        torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=schedule.learning_rate,
            total_steps=batches_per_epoch * schedule.epochs + 1,
        )
        if schedule.one_cycle
        else None
    )
    loss_of = nn.CrossEntropyLoss()
    mean_loss = math.nan
    network.train()
    try:
        # Dropout draws from torch's own generator.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for epoch in range(1, schedule.epochs + 1):
                losses = []
                batches = _batches(examples, schedule, noise)
                label = f"{activity}, epoch {epoch} of {schedule.epochs}"
                for batch in tracked(batches, progress, label, batches_per_epoch):
                    batch_rule = _rule_of_batch(rule, schedule, epoch, noise)
                    pixels = read_pixels([example.path for example in batch], batch_rule)
                    if schedule.augment:
                        pixels = _shifted(pixels, noise)
                    targets = torch.tensor([example.target for example in batch])
                    optimizer.zero_grad(set_to_none=True)
                    loss = loss_of(network(to_input(pixels, batch_rule)), targets)
                    loss.backward()
                    optimizer.step()
                    if cycle is not None:
                        cycle.step()
                    losses.append(_finite(loss, schedule))
                mean_loss = sum(losses) / len(losses)
    finally:
        optimizer.zero_grad(set_to_none=True)
        network.eval()
    return mean_loss


def _optimizer(network: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    # Fused: seen on one core, 7 ms instead of 93 ms a step for ResNet-18.
    parameters, rate = network.parameters(), schedule.learning_rate
    if schedule.optimizer is Optimizer.ADAM:
        return torch.optim.Adam(parameters, lr=rate, fused=True)
    return torch.optim.AdamW(parameters, lr=rate, weight_decay=_WEIGHT_DECAY, fused=True)


def _batches(
    examples: Sequence[Example],
    schedule: Schedule,
    noise: np.random.Generator,
) -> Iterator[list[Example]]:
    order = noise.permutation(len(examples))
    for start in range(0, len(order), schedule.batch_size):
        chosen = order[start : start + schedule.batch_size]
        if len(chosen) < _SMALLEST_BATCH:
            chosen = order[-_SMALLEST_BATCH:]
        yield [examples[index] for index in chosen]


def _rule_of_batch(
    rule: Preprocessing,
    schedule: Schedule,
    epoch: int,
    noise: np.random.Generator,
) -> Preprocessing:
    if schedule.smaller is None or epoch <= _EPOCHS_AT_ONE_SIZE:
        return rule
    return schedule.smaller if noise.random() < _SMALLER_SHARE else rule


def _shifted(pixels: Pixels, noise: np.random.Generator) -> Pixels:
    margin = max(1, round(pixels.shape[1] * _SHIFT_SHARE))
    size = pixels.shape[1]
    padded = np.pad(pixels, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="edge")
    corners = noise.integers(0, 2 * margin + 1, (len(pixels), 2))
    return np.stack(
        [
            image[top : top + size, left : left + size]
            for image, (top, left) in zip(padded, corners, strict=True)
        ]
    )


def _finite(loss: Tensor, schedule: Schedule) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        message = (
            f"the loss became {value}; a learning rate below {schedule.learning_rate:g} may help"
        )
        raise TuningError(message)
    return value
