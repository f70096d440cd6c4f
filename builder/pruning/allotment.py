"""How many filters each group loses: all the same share, or each what it can spare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from torch import nn

from builder.pruning.channels import ChannelGroup
from builder.studies.sensitivity import LayerSensitivity

#: A group whose filters are asked of it loses them in so many steps where widths are free.
_STEPS = 32
#: In coarser steps than these a narrow group has no choice.
_FEWEST_GRAINS = 4
#: However little a group seems to matter untuned, it keeps this share of what an equal share
#: would leave it: sensitivities are measured one group at a time, and their sum is no bound.
_LEAST_OF_EQUAL_SHARE = 0.5


@dataclass(frozen=True, kw_only=True)
class Layer:
    """Work of one convolution or Linear, and the groups whose channels it makes and reads."""

    macs: int
    makes: ChannelGroup | None
    #: Groups that it reads, and each one's share of its input channels.
    reads: Mapping[ChannelGroup, float]


def list_layers(groups: Sequence[ChannelGroup], macs: Mapping[nn.Module, int]) -> list[Layer]:
    """Every layer whose work the groups decide; `macs` by module, for one image."""
    makes: dict[nn.Module, ChannelGroup] = {}
    reads: dict[nn.Module, dict[ChannelGroup, float]] = {}
    for group in groups:
        for link in group.links:
            if link.module not in macs:
                continue
            if link.is_output:
                makes[link.module] = group
            # Of a depthwise convolution inputs and outputs are the same channels: counted once.
            elif getattr(link.module, "groups", 1) == 1:
                width = _input_width(link.module)
                shares = reads.setdefault(link.module, {})
                shares[group] = shares.get(group, 0.0) + len(link.places) / width
    return [
        Layer(macs=macs[module], makes=makes.get(module), reads=reads.get(module, {}))
        for module in dict.fromkeys((*makes, *reads))
    ]


def equal_share(width: int, ratio: float, round_to: int) -> int:
    """How many of `width` filters go at `ratio`: the floor, or what leaves a multiple.

    With `round_to` above 1, what is left is the nearest multiple of it, at least one. Groups of
    less than four times as many are rounded to less: half, or a quarter, and so on.
    """
    # As a decimal fraction: 0.29 x 100 filters are 29, whatever binary floats make of it.
    count = math.floor(Fraction(str(ratio)) * width)
    grain = _grain(width, round_to)
    if grain == 1:
        return count
    return width - max(grain, math.floor((width - count) / grain + 0.5) * grain)


def remaining_macs(layers: Sequence[Layer], removed: Mapping[ChannelGroup, int]) -> float:
    """Work that is left after so many channels of each group went."""
    gone = {group: count / group.width for group, count in removed.items()}
    total = 0.0
    for layer in layers:
        kept_out = 1.0 - (gone.get(layer.makes, 0.0) if layer.makes is not None else 0.0)
        kept_in = 1.0 - sum(gone.get(group, 0.0) * share for group, share in layer.reads.items())
        total += layer.macs * kept_out * kept_in
    return total


def allot(
    groups: Sequence[ChannelGroup],
    layers: Sequence[Layer],
    sensitivities: Mapping[str, LayerSensitivity],
    ratio: float,
    round_to: int,
) -> dict[ChannelGroup, int]:
    """How many filters each group loses, for as few MACs as `ratio` of all would leave.

    Greedy by marginal cost: the group whose next filters add the least loss for each MAC that
    they save gives them, until the work is down to what equal shares would leave. Loss
    between the measured ratios is interpolated.

    Args:
        groups: of one network.
        layers: its work, from `list_layers`.
        sensitivities: by group name.
        ratio: share of filters that decides the target.
        round_to: what the channels left in a group are a multiple of.
    """
    target = remaining_macs(layers, {g: equal_share(g.width, ratio, 1) for g in groups})
    removed = dict.fromkeys(groups, 0)
    present = remaining_macs(layers, removed)
    while present > target:
        best: tuple[float, ChannelGroup, int, float] | None = None
        for group in groups:
            count = _next_count(group.width, removed[group], round_to)
            if count > _most(group.width, ratio):
                continue
            work = remaining_macs(layers, {**removed, group: count})
            curve = sensitivities[group.name]
            added = loss_at(curve, count / group.width)
            added -= loss_at(curve, removed[group] / group.width)
            price = added / max(present - work, 1e-9)
            if best is None or price < best[0]:
                best = (price, group, count, work)
        if best is None:
            break
        _, group, removed[group], present = best
    return removed


def loss_at(sensitivity: LayerSensitivity, ratio: float) -> float:
    """Loss (nats) that removing `ratio` of a group's filters adds, between what was measured."""
    ratios = [0.0, *sensitivity.ratios]
    # What one measures on few images may dip; losing more never helps.
    losses = np.maximum.accumulate([0.0, *sensitivity.loss_increase])
    if ratio <= ratios[-1]:
        return float(np.interp(ratio, ratios, losses))
    slope = (losses[-1] - losses[-2]) / (ratios[-1] - ratios[-2])
    return float(losses[-1] + slope * (ratio - ratios[-1]))


def _next_count(width: int, removed: int, round_to: int) -> int:
    grain = _grain(width, round_to)
    if grain == 1:
        return removed + max(1, width // _STEPS)
    kept = width - removed
    return width - (kept - 1) // grain * grain


def _grain(width: int, round_to: int) -> int:
    """What the channels left in a group of `width` are a multiple of."""
    grain = round_to
    while grain > 1 and width < _FEWEST_GRAINS * grain:
        grain //= 2
    return grain


def _most(width: int, ratio: float) -> int:
    return width - max(1, math.ceil(width * (1.0 - ratio) * _LEAST_OF_EQUAL_SHARE))


def _input_width(module: nn.Module) -> int:
    width = getattr(module, "in_channels", None) or getattr(module, "in_features", None)
    return int(width) if width else 1
