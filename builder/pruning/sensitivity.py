"""What each group of convolutions costs in loss when it loses filters: measured."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from builder.networks.complexity import count_work
from builder.progress import Progress
from builder.pruning.channels import ChannelGroup, Channels
from builder.pruning.importance import rank_filters
from builder.pruning.method import Importance
from builder.studies.sensitivity import LayerSensitivity, Sensitivity

#: Shares of the filters that are tried in every group.
RATIOS = (0.125, 0.25, 0.5, 0.75)


def measure_sensitivity(
    channels: Channels,
    inputs: Sequence[Tensor],
    *,
    architecture: str,
    input_size: int,
    importance: Importance,
    progress: Progress,
) -> Sensitivity:
    """Cut every group alone at each of `RATIOS`, and see what that does to the answers.

    Nothing is really cut: the channels are silenced, which comes to the same wherever what
    follows turns zero into zero. Method after Li et al., "Pruning Filters for Efficient
    ConvNets" (2017), section 3.2.

    Args:
        channels: groups of a network in evaluation mode, which is as it was afterwards.
        inputs: batches float32 [N, 3, H, W].
        architecture: its name, for the record.
        input_size: side of the inputs in pixels.
        importance: what ranks the filters.
        progress: told of every trial.
    """
    network = channels.network
    ranks = rank_filters(network, channels.groups, importance, inputs)
    macs = count_work(network, input_size).macs
    activity = f"{architecture}: measuring what each layer can spare"
    total = len(ranks) * len(RATIOS)
    layers: list[LayerSensitivity] = []
    with torch.inference_mode():
        whole = [functional.log_softmax(network(batch), dim=1) for batch in inputs]
        images = sum(len(answers) for answers in whole)
        for group, rank in ranks.items():
            losses: list[float] = []
            for ratio in RATIOS:
                progress.update(activity, len(layers) * len(RATIOS) + len(losses), total)
                doomed = rank[: int(ratio * group.width)]
                with _silenced(group, doomed):
                    losses.append(_divergence(network, inputs, whole) / images)
            names = [channels.name_of(layer) for layer in group.producers]
            layers.append(
                LayerSensitivity(
                    layer=group.name,
                    coupled=names[1:],
                    channels=group.width,
                    macs=sum(macs.get(name, 0) for name in names),
                    ratios=list(RATIOS),
                    loss_increase=losses,
                )
            )
    progress.update(activity, total, total)
    return Sensitivity(
        architecture=architecture,
        input_size=input_size,
        importance=importance,
        images=images,
        layers=layers,
    )


def _divergence(network: nn.Module, inputs: Sequence[Tensor], whole: Sequence[Tensor]) -> float:
    total = 0.0
    for batch, expected in zip(inputs, whole, strict=True):
        answers = functional.log_softmax(network(batch), dim=1)
        total += float(functional.kl_div(answers, expected, log_target=True, reduction="sum"))
    return total


@contextlib.contextmanager
def _silenced(group: ChannelGroup, doomed: Tensor) -> Iterator[None]:
    """Let the doomed channels be zero wherever the group makes or normalises them."""
    kept: list[tuple[Tensor, Tensor]] = []
    gone = torch.zeros(group.width, dtype=torch.bool)
    gone[doomed] = True
    try:
        for link in group.links:
            if not link.is_output:
                continue
            places = link.places[gone[link.channels]]
            for parameter in link.module.parameters(recurse=False):
                kept.append((parameter, parameter.detach().clone()))
                parameter.detach()[places] = 0.0
        yield
    finally:
        for changed, before in kept:
            changed.detach().copy_(before)
