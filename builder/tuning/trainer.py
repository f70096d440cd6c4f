"""Training: from scratch, from given weights, and the tuning after surgery."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from builder.data.images import read_pixels, to_input
from builder.errors import TuningError
from builder.progress import Progress, tracked
from builder.tuning.augmentation import mirrored, mixed, shifted
from builder.tuning.batchnorm import reestimate_statistics
from builder.tuning.objective import Example, Objective
from builder.tuning.schedule import Schedule
from contract.manifest import Preprocessing

#: Batch normalisation has no variance of a single image.
_SMALLEST_BATCH = 2
_SMALLER_SHARE = 1 / 3
#: Seen on digits: VGG-19 with batch norm learns in two epochs at one size what it does not
#: at two sizes (96 % against 19 %).
_EPOCHS_AT_ONE_SIZE = 2
#: Enough that a channel's mean and variance no longer change.
_STATISTICS_IMAGES = 2048


def fit(
    network: nn.Module,
    examples: Sequence[Example],
    rule: Preprocessing,
    schedule: Schedule,
    objective: Objective,
    *,
    seed: int,
    progress: Progress,
    activity: str,
) -> float:
    """Train `network` in place; the mean loss of the last epoch (nats).

    Afterwards the network is in evaluation mode and holds no gradients.

    Raises:
        TuningError: fewer than two images, or the loss became infinite or not a number.
    """
    if len(examples) < _SMALLEST_BATCH:
        message = f"training needs at least {_SMALLEST_BATCH} images, got {len(examples)}"
        raise TuningError(message)
    noise = np.random.default_rng(seed)
    batches_per_epoch = math.ceil(len(examples) / schedule.batch_size)
    optimizer = schedule.make_optimizer(network.parameters())
    cycle = schedule.make_cycle(optimizer, batches_per_epoch * schedule.epochs)
    mean_loss = math.nan
    # Seen on one core: an epoch of ResNet-18 takes 15 to 40 % less.
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
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
                    inputs = _view(
                        batch, _rule_of_batch(rule, schedule, epoch, noise), schedule, noise
                    )
                    optimizer.zero_grad(set_to_none=True)
                    logits = network(_shrunk(inputs, schedule))
                    loss = objective.loss(logits, inputs, batch)
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    if cycle is not None:
                        cycle.step()
                    losses.append(_finite(loss, schedule))
                mean_loss = sum(losses) / len(losses)
    finally:
        optimizer.zero_grad(set_to_none=True)
        network.eval()
        network.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return mean_loss


def settle(
    network: nn.Module,
    examples: Sequence[Example],
    rule: Preprocessing,
    batch_size: int,
    *,
    seed: int,
    progress: Progress,
    activity: str,
) -> None:
    """Take the statistics of batch normalisation anew from plain images, in place."""
    order = np.random.default_rng(seed).permutation(len(examples))[:_STATISTICS_IMAGES]
    starts = range(0, max(1, len(order) - _SMALLEST_BATCH + 1), batch_size)

    def batches() -> Iterator[Tensor]:
        for start in tracked(starts, progress, activity, len(starts)):
            paths = [examples[place].path for place in order[start : start + batch_size]]
            yield to_input(read_pixels(paths, rule), rule)

    reestimate_statistics(network, batches())


def _view(
    batch: Sequence[Example],
    rule: Preprocessing,
    schedule: Schedule,
    noise: np.random.Generator,
) -> Tensor:
    pixels = read_pixels([example.path for example in batch], rule)
    if schedule.shift:
        pixels = shifted(pixels, noise)
    if schedule.mirror:
        pixels = mirrored(pixels, noise)
    inputs = to_input(pixels, rule)
    if schedule.mixup > 0.0:
        inputs = mixed(inputs, schedule.mixup, noise)
    return inputs.contiguous(memory_format=torch.channels_last)


def _shrunk(inputs: Tensor, schedule: Schedule) -> Tensor:
    if schedule.shrink_to is None:
        return inputs
    return functional.interpolate(
        inputs, size=(schedule.shrink_to,) * 2, mode="bilinear", antialias=True
    ).contiguous(memory_format=torch.channels_last)


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


def _finite(loss: Tensor, schedule: Schedule) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        message = (
            f"the loss became {value}; a learning rate below {schedule.learning_rate:g} may help"
        )
        raise TuningError(message)
    return value
