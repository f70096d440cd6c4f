"""Accuracy of an exported network on real images, as a device would run it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from builder.data.images import batch_size, read_pixels, to_input
from builder.errors import ExportError
from builder.progress import Progress
from contract.manifest import Preprocessing, Scheme

#: Summation order differs between batch sizes; more than this share of the logits' range
#: means that images of a batch see each other.
_BATCH_TOLERANCE = 1e-4
_TOP = 5


class Network(Protocol):
    """Whatever turns inputs into logits."""

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits [N, classes] of inputs [N, 3, H, W]."""


class InMemory:
    """A network in memory, in evaluation mode, as evaluation wants it."""

    def __init__(self, network: nn.Module) -> None:
        """Evaluate `network`."""
        self._network = network

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits [N, classes] of inputs [N, 3, H, W]."""
        with torch.inference_mode():
            logits: Tensor = self._network(inputs)
        return logits


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """The five highest outputs for each image, highest first: `top: int64 [N, <=5]`."""

    top: Tensor

    def hits_within(self, k: int, answers: Tensor) -> Tensor:
        """Whether one of its answers is among an image's `k` highest outputs: bool [N].

        Args:
            k: how many of the highest outputs count, 1 to 5.
            answers: int64 [N, widest], the outputs that are right for each image, filled up
                with numbers that are no output.
        """
        return (self.top[:, :k, None] == answers[:, None, :]).flatten(start_dim=1).any(dim=1)


def predict(
    network: Network,
    paths: Sequence[Path],
    rule: Preprocessing,
    scheme: Scheme,
    *,
    progress: Progress,
    activity: str,
) -> Predictions:
    """Run `network` over images.

    Images are run in batches only where that changes nothing: dynamic INT8 takes its range of
    activations over the whole batch, and a device runs one image at a time.
    """
    step = batch_size(rule.input_size) if _batches_freely(network, paths, rule, scheme) else 1
    tops = []
    progress.update(activity, 0, len(paths))
    for start in range(0, len(paths), step):
        chosen = paths[start : start + step]
        logits = network.logits(to_input(read_pixels(chosen, rule), rule))
        tops.append(logits.topk(min(_TOP, logits.shape[1]), dim=1).indices)
        progress.update(activity, start + len(chosen), len(paths))
    return Predictions(top=torch.cat(tops))


def _batches_freely(
    network: Network,
    paths: Sequence[Path],
    rule: Preprocessing,
    scheme: Scheme,
) -> bool:
    if scheme is Scheme.DYNAMIC_INT8:
        return False
    pair = to_input(read_pixels([paths[0], paths[-1]], rule), rule)
    alone = torch.cat([network.logits(pair[:1]), network.logits(pair[1:])])
    try:
        together = network.logits(pair)
    except ExportError:
        # Traced with the batch size baked in; one image at a time still works.
        return False
    if together.shape != alone.shape:
        return False
    span = float(alone.max() - alone.min())
    return float((together - alone).abs().max()) <= _BATCH_TOLERANCE * span
