"""Which filters of a group matter least: three measures from the literature."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from builder.pruning.channels import ChannelGroup, Producer, output_width
from builder.pruning.method import Importance

_BatchNorm = nn.BatchNorm2d


def rank_filters(
    network: nn.Module,
    groups: Sequence[ChannelGroup],
    importance: Importance,
    inputs: Iterable[Tensor],
) -> Mapping[ChannelGroup, Tensor]:
    """Channels of each group from the least to the most important: int64 [width].

    Scores are squared and summed over the layers of a group, so that coupled ones are
    ranked jointly. A group without batch normalisation has no rank by `batchnorm-scale` and
    is left out.

    Args:
        network: in evaluation mode; it is not changed.
        groups: of that network.
        importance: the measure.
        inputs: batches float32 [N, 3, H, W]; read by `taylor` alone.
    """
    scores: dict[nn.Module, Tensor]
    match importance:
        case Importance.L2:
            scores = {layer: _squared_norms(layer) for group in groups for layer in group.producers}
        case Importance.BATCHNORM:
            scores = {
                link.module: link.module.weight.detach().double().square()
                for group in groups
                for link in group.links
                if isinstance(link.module, _BatchNorm) and link.module.affine
            }
        case Importance.TAYLOR:
            scores = _taylor(network, groups, inputs)
    ranked = [group for group in groups if any(link.module in scores for link in group.links)]
    return {group: group.joint(scores).argsort(stable=True) for group in ranked}


def _squared_norms(layer: Producer) -> Tensor:
    return layer.weight.detach().flatten(start_dim=1).double().square().sum(dim=1)


def _taylor(
    network: nn.Module, groups: Sequence[ChannelGroup], inputs: Iterable[Tensor]
) -> dict[nn.Module, Tensor]:
    """Squared change of the loss, to first order, that losing a filter would make.

    The loss is cross entropy against the network's own answers, so that no labels are needed.
    """
    layers = list(dict.fromkeys(layer for group in groups for layer in group.producers))
    weights = [layer.weight for layer in layers]
    scores: dict[nn.Module, Tensor] = {
        layer: torch.zeros(output_width(layer), dtype=torch.float64) for layer in layers
    }
    for batch in inputs:
        with torch.enable_grad():
            logits = network(batch)
            loss = functional.cross_entropy(logits, logits.detach().argmax(dim=1))
            gradients = torch.autograd.grad(loss, weights)
        for layer, gradient in zip(layers, gradients, strict=True):
            first_order = (gradient * layer.weight.detach()).flatten(start_dim=1)
            scores[layer] += first_order.double().sum(dim=1).square()
    return scores
