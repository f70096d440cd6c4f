"""Cross entropy where several outputs are right for an image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor


def membership_of(targets: Sequence[Sequence[int]], outputs: int) -> Tensor:
    """Which outputs are right for each image: bool [N, outputs].

    Args:
        targets: for each image the outputs that are right, at least one.
        outputs: width of the network's logits.
    """
    rows = [row for row, right in enumerate(targets) for _ in right]
    columns = [output for right in targets for output in right]
    membership = torch.zeros(len(targets), outputs, dtype=torch.bool)
    membership[rows, columns] = True
    return membership


def set_loss(logits: Tensor, membership: Tensor) -> Tensor:
    """Mean negative log of the probability that the right outputs have together, in nats.

    For sets of one output each this is cross entropy. A network is free in how it spreads
    the probability inside a set, so that tuning on `dog` does not level 118 breeds.

    Args:
        logits: floats [N, C].
        membership: bool [N, C], true where an output is right; at least one in each row, or
            the loss is infinite.
    """
    shares = logits.log_softmax(dim=1).masked_fill(~membership, -math.inf)
    return -shares.logsumexp(dim=1).mean()
