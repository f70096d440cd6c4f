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


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """A layer and those of its input channels that go."""

    layer: nn.Conv2d | nn.Linear
    #: Mask over the input channels.
    gone: Tensor
    #: Inputs of a Linear that each channel gives: the places of a flattened feature map.
    places: int

    def values(self, inputs: Tensor) -> Tensor:
        """What the layer sees, float64 [channels, values]."""
        if isinstance(self.layer, nn.Linear):
            inputs = inputs.reshape(-1, len(self.gone), self.places)
        return inputs.transpose(0, 1).flatten(start_dim=1).double()

    def weight(self) -> Tensor:
        """View of the weights, [outputs, channels, ...]."""
        weight = self.layer.weight.detach()
        if isinstance(self.layer, nn.Linear):
            return weight.view(len(weight), len(self.gone), self.places)
        return weight


class _Moments:
    """Sums over the values of a reader's channels, for their means and covariances."""

    def __init__(self, channels: int) -> None:
        self._count = 0
        self._sum = torch.zeros(channels, dtype=torch.float64)
        self._products = torch.zeros(channels, channels, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """Count values [channels, values] in."""
        self._count += values.shape[1]
        self._sum += values.sum(dim=1)
        self._products += values @ values.T

    @property
    def mean(self) -> Tensor:
        """Mean of each channel."""
        return self._sum / max(1, self._count)

    @property
    def covariance(self) -> Tensor:
        """Covariance of each pair of channels."""
        return self._products / max(1, self._count) - torch.outer(self.mean, self.mean)


def compensate(
    network: nn.Module,
    filters: Mapping[ChannelGroup, Sequence[int]],
    inputs: Sequence[Tensor],
) -> None:
    """Let the layers that read doomed channels make up for them, in place, before the cut.

    Channels are predicted from what the layers see for `inputs`, positions alike. The constant
    of the prediction goes into the layer's bias; where it has none, batch normalisation after
    it takes that up when its statistics are taken anew. Grouped and depthwise convolutions are
    left as they are.

    Args:
        network: in evaluation mode.
        filters: channels of each group that are about to go.
        inputs: batches float32 [N, 3, H, W].
    """
    readers = list(_readers(filters))
    with _moments_of(readers) as moments, torch.no_grad():
        for batch in inputs:
            network(batch)
    for reader in readers:
        if reader.layer in moments:
            _fold(reader, moments[reader.layer])


def _readers(filters: Mapping[ChannelGroup, Sequence[int]]) -> Iterator[_Reader]:
    doomed: dict[nn.Module, list[Tensor]] = {}
    places: dict[nn.Module, set[int]] = {}
    for group, chosen in filters.items():
        goes = torch.zeros(group.width, dtype=torch.bool)
        goes[list(chosen)] = True
        for link in group.links:
            if not link.is_output:
                doomed.setdefault(link.module, []).append(link.places[goes[link.channels]])
                places.setdefault(link.module, set()).add(len(link.places) // group.width)
    for layer, parts in doomed.items():
        if isinstance(layer, nn.Conv2d) and layer.groups == 1:
            gone, each = _mask(layer.in_channels, parts), 1
        elif isinstance(layer, nn.Linear):
            gone, each = _by_channel(_mask(layer.in_features, parts), places[layer])
        else:
            continue
        if not bool(gone.all()):
            yield _Reader(layer=layer, gone=gone, places=each)


def _mask(width: int, parts: Sequence[Tensor]) -> Tensor:
    gone = torch.zeros(width, dtype=torch.bool)
    gone[torch.cat(list(parts))] = True
    return gone


def _by_channel(gone: Tensor, places: set[int]) -> tuple[Tensor, int]:
    """Mask by channel, and places a channel, of a Linear that reads a flattened feature map.

    As one feature a place where the channels do not lie one after the other.
    """
    each = next(iter(places))
    if len(places) == 1 and each > 1 and len(gone) % each == 0:
        blocks = gone.view(-1, each)
        if bool((blocks.all(dim=1) == blocks.any(dim=1)).all()):
            return blocks.all(dim=1), each
    return gone, 1


@contextlib.contextmanager
def _moments_of(readers: Sequence[_Reader]) -> Iterator[dict[nn.Module, _Moments]]:
    """Moments of what each layer reads, summed while the block runs."""
    moments: dict[nn.Module, _Moments] = {}

    def watch(reader: _Reader) -> torch.utils.hooks.RemovableHandle:
        def note(layer: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            own = moments.setdefault(layer, _Moments(len(reader.gone)))
            own.add(reader.values(arguments[0]))

        return reader.layer.register_forward_pre_hook(note)

    hooks = [watch(reader) for reader in readers]
    try:
        yield moments
    finally:
        for hook in hooks:
            hook.remove()


def _fold(reader: _Reader, moments: _Moments) -> None:
    kept, gone = ~reader.gone, reader.gone
    covariance, mean = moments.covariance, moments.mean
    own = covariance[kept][:, kept]
    ridge = _RIDGE * own.diagonal().mean() + torch.finfo(torch.float64).tiny
    own = own + ridge * torch.eye(len(own), dtype=own.dtype)
    # [gone, kept]: each channel that goes as a mixture of those that stay, and a constant.
    mixture = torch.linalg.solve(own, covariance[kept][:, gone]).T
    constant = mean[gone] - mixture @ mean[kept]
    weight = reader.weight()
    if reader.layer.bias is not None:
        by_channel = weight[:, gone].flatten(start_dim=2).sum(dim=2)
        reader.layer.bias.detach().add_(by_channel @ constant.to(weight.dtype))
    weight[:, kept] += torch.einsum("og...,gk->ok...", weight[:, gone], mixture.to(weight.dtype))
