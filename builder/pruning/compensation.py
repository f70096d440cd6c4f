"""What reads a channel learns to do without it: what is left takes over, by least squares.

The closed-form step of He et al., "Channel Pruning for Accelerating Very Deep Neural Networks"
(2017), one coefficient a pair of channels instead of one a weight: channels that go are
predicted from those that stay, and the prediction is folded into the layers that read them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from builder.pruning.channels import ChannelGroup

#: Share of the mean variance that is added to every channel's own, against channels that
#: hardly differ.
_RIDGE = 1e-3


@dataclass(frozen=True)
class _Reader:
    """A layer and those of its input channels that go."""

    layer: nn.Conv2d | nn.Linear
    channels: int
    gone: Tensor


def compensate(
    network: nn.Module,
    filters: Mapping[ChannelGroup, Sequence[int]],
    inputs: Sequence[Tensor],
) -> None:
    """Let the layers that read doomed channels make up for them, in place, before the cut.

    Channels are predicted from what the layers see for `inputs`, positions alike, without a
    constant term: batch normalisation after them takes that up when its statistics are taken
    anew. Grouped and depthwise convolutions are left as they are.

    Args:
        network: in evaluation mode.
        filters: channels of each group that are about to go.
        inputs: batches float32 [N, 3, H, W].
    """
    readers = list(_readers(filters))
    with _moments_of([reader.layer for reader in readers]) as moments, torch.no_grad():
        for batch in inputs:
            network(batch)
    for reader in readers:
        if reader.layer in moments:
            _fold(reader, moments[reader.layer])


def _readers(filters: Mapping[ChannelGroup, Sequence[int]]) -> Iterator[_Reader]:
    doomed: dict[nn.Module, list[Tensor]] = {}
    for group, places in filters.items():
        goes = torch.zeros(group.width, dtype=torch.bool)
        goes[list(places)] = True
        for link in group.links:
            if not link.is_output:
                doomed.setdefault(link.module, []).append(link.places[goes[link.channels]])
    for layer, parts in doomed.items():
        if isinstance(layer, nn.Conv2d) and layer.groups == 1:
            width = layer.in_channels
        elif isinstance(layer, nn.Linear):
            width = layer.in_features
        else:
            continue
        gone = torch.zeros(width, dtype=torch.bool)
        gone[torch.cat(parts)] = True
        if not bool(gone.all()):
            yield _Reader(layer, width, gone)


@contextlib.contextmanager
def _moments_of(layers: Sequence[nn.Module]) -> Iterator[dict[nn.Module, Tensor]]:
    """Second moments (float64 [C, C]) of the inputs of `layers`, summed while the block runs."""
    moments: dict[nn.Module, Tensor] = {}

    def note(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        seen = arguments[0].transpose(0, 1).flatten(start_dim=1).double()
        moments[layer] = moments.get(layer, 0.0) + seen @ seen.T

    hooks = [layer.register_forward_pre_hook(note) for layer in layers]
    try:
        yield moments
    finally:
        for hook in hooks:
            hook.remove()


def _fold(reader: _Reader, moments: Tensor) -> None:
    kept, gone = ~reader.gone, reader.gone
    own = moments[kept][:, kept]
    ridge = _RIDGE * own.diagonal().mean() + torch.finfo(torch.float64).tiny
    own = own + ridge * torch.eye(len(own), dtype=own.dtype)
    # [gone, kept]: each channel that goes as a mixture of those that stay.
    mixture = torch.linalg.solve(own, moments[kept][:, gone]).T.to(reader.layer.weight.dtype)
    weight = reader.layer.weight.detach()
    weight[:, kept] += torch.einsum("og...,gk->ok...", weight[:, gone], mixture)
