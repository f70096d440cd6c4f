"""Structured pruning by surgery: whole filters go, and every layer that reads them shrinks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
from torch import Tensor, nn

from builder.errors import NothingToPruneError, UnsupportedError
from builder.networks.complexity import count_work
from builder.pruning.allotment import allot, equal_share, list_layers, loss_at
from builder.pruning.channels import ChannelGroup, Channels, output_width
from builder.pruning.compensation import compensate
from builder.pruning.importance import rank_filters
from builder.pruning.method import Allotment, Method
from builder.studies.sensitivity import Sensitivity
from contract.manifest import PrunedLayer


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """Filters that went from one layer, and from what is coupled with it."""

    layer: str
    filters: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Surgery:
    """What was cut, and which chosen layers were left alone, with the reason."""

    cuts: tuple[Cut, ...]
    layers: tuple[PrunedLayer, ...]
    left_alone: tuple[str, ...]
    #: Loss that the cut groups were measured to add, one by one, untuned (nats); None where
    #: nothing was measured.
    expected_loss: float | None = None


def prune(
    network: nn.Module,
    *,
    input_size: int,
    ratio: float,
    method: Method,
    inputs: Sequence[Tensor] = (),
    sensitivity: Callable[[Channels], Sensitivity] | None = None,
) -> Surgery:
    """Remove the least important filters of `network`, in place.

    Ranks and counts are all taken from the unpruned network, before the first cut.
    Layers whose channels are coupled (residual sums, depthwise pairs) are cut once,
    together, by their joint importance. Left alone is a convolution that is coupled with one
    that was not chosen, whose channels are the network's output, or that meets grouped
    convolutions or group normalisation, whose groups would come apart.

    Args:
        network: in evaluation mode.
        input_size: side of an input in pixels that it takes.
        ratio: share of filters to remove, above 0 and below 1.
        method: which, and how many of each.
        inputs: batches float32 [N, 3, H, W], read by importance by Taylor expansion and by
            compensation.
        sensitivity: measures, or remembers, what each group costs; needed where the method
            allots by it.

    Raises:
        NothingToPruneError: no filter may go; `network` is as it was.
        UnsupportedError: the surgery did not leave a working network, which is spoilt.
    """
    channels = Channels(network, input_size, method.deepest, linears=method.linears)
    ranks = rank_filters(network, channels.groups, method.importance, inputs)
    groups = [group for group in channels.groups if group in ranks]
    left_alone = list(channels.left_alone)
    left_alone += [
        f"{channels.name_of(layer)} (has no batch normalisation to rank its filters by)"
        for group in channels.groups
        if group not in ranks
        for layer in group.producers
    ]
    expected_loss: float | None = None
    if method.allotment is Allotment.SENSITIVITY and sensitivity is not None and groups:
        known = {one.layer: one for one in sensitivity(channels).layers}
        work = count_work(network, input_size)
        macs = {module: work.macs.get(name, 0) for name, module in network.named_modules()}
        layers = list_layers(groups, macs)
        counts = allot(groups, layers, known, ratio, method.round_to)
        expected_loss = sum(loss_at(known[g.name], counts[g] / g.width) for g in groups)
    else:
        counts = {group: equal_share(group.width, ratio, method.round_to) for group in groups}
    filters = {
        group: sorted(ranks[group][: counts[group]].tolist()) for group in groups if counts[group]
    }
    left_alone += [
        f"{channels.name_of(layer)} ({_why_none(group, ratio, method)})"
        for group in groups
        if group not in filters
        for layer in group.producers
    ]
    if not filters:
        reasons = f": {'; '.join(left_alone)}" if left_alone else ""
        message = f"nothing to prune: none of {channels.scope} can lose filters{reasons}"
        raise NothingToPruneError(message)
    if method.compensate:
        compensate(network, filters, inputs)
    before = {layer: output_width(layer) for group in filters for layer in group.producers}
    channels.cut(filters)
    return Surgery(
        cuts=tuple(
            Cut(layer=group.name, filters=tuple(doomed)) for group, doomed in filters.items()
        ),
        layers=tuple(
            PrunedLayer(
                name=channels.name_of(layer),
                channels_before=width,
                channels_after=output_width(layer),
            )
            for layer, width in before.items()
        ),
        left_alone=tuple(left_alone),
        expected_loss=expected_loss,
    )


def repeat(network: nn.Module, cuts: Sequence[Cut], *, input_size: int, method: Method) -> None:
    """Remove the same filters again from a network like the one that `prune` cut, in place.

    Args:
        network: in evaluation mode.
        cuts: what `prune` says that it cut.
        input_size: side of an input in pixels that it takes.
        method: by which it was cut; how filters were ranked does not matter any more.

    Raises:
        UnsupportedError: it is no such network.
    """
    channels = Channels(network, input_size, method.deepest, linears=method.linears)
    groups = {
        channels.name_of(layer): group for group in channels.groups for layer in group.producers
    }
    missing = [cut.layer for cut in cuts if cut.layer not in groups]
    if missing:
        message = f"{missing[0]}: was cut before and cannot be cut now; is it another network?"
        raise UnsupportedError(message)
    channels.cut({groups[cut.layer]: cut.filters for cut in cuts})


def _why_none(group: ChannelGroup, ratio: float, method: Method) -> str:
    if method.allotment is Allotment.SENSITIVITY:
        return "can spare none"
    multiple = f" in multiples of {method.round_to}" if method.round_to > 1 else ""
    return f"{ratio:.0%} of {group.width} filters is none{multiple}"
