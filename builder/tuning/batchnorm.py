"""Statistics of batch normalisation, taken anew after what it sees has changed."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def reestimate_statistics(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace all running means and variances by those over `batches`, in place.

    Surgery, a smaller input and training on mixed images all shift what normalisation sees
    (Li et al., "EagleEye: Fast Sub-net Evaluation for Efficient Neural Network Pruning", 2020).

    Args:
        network: in evaluation mode, as it is afterwards; nothing else of it changes.
        batches: inputs float32 [N, 3, H, W], plain images as evaluation sees them; many images
            a batch, because the variance of few is biased.
    """
    norms = [
        module
        for module in network.modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats
    ]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.reset_running_stats()
            # None: the plain mean over all batches.
            norm.momentum = None
            norm.train()
        with torch.no_grad():
            for batch in batches:
                network(batch)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()
