"""How many filters each group loses."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from builder.networks.complexity import count_work
from builder.pruning.allotment import Layer, allot, equal_share, list_layers, remaining_macs
from builder.pruning.channels import Channels
from builder.pruning.method import ALL
from builder.pruning.sensitivity import RATIOS
from builder.studies.sensitivity import LayerSensitivity

Make = Callable[..., nn.Module]


class _Separable(nn.Module):
    """An inverted residual as in MobileNetV2: expanded, filtered channel by channel, projected."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.expand = nn.Conv2d(16, 32, 1)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.project = nn.Conv2d(32, 16, 1)
        self.fc = nn.Linear(16, 3)

    def forward(self, images: Tensor) -> Tensor:
        start = self.stem(images).relu()
        inner = self.depthwise(self.expand(start).relu()).relu()
        return self.fc((start + self.project(inner)).mean(dim=(2, 3)))


def _layers(network: nn.Module, channels: Channels) -> list[Layer]:
    work = count_work(network, 16)
    macs = {module: work.macs.get(name, 0) for name, module in network.named_modules()}
    return list_layers(channels.groups, macs)


@given(st.integers(1, 2048), st.integers(1, 99))
def test_an_equal_share_is_the_floor_to_the_percent(width: int, percent: int) -> None:
    assert equal_share(width, percent / 100, 1) == math.floor(Fraction(percent, 100) * width)


@given(st.integers(1, 2048), st.integers(1, 99), st.sampled_from([2, 4, 8, 16]))
def test_what_an_equal_share_leaves_of_a_wide_group_is_the_nearest_multiple(
    width: int, percent: int, multiple: int
) -> None:
    left = width - equal_share(width, percent / 100, multiple)

    assert left >= 1
    if width >= 4 * multiple:
        exact = width - equal_share(width, percent / 100, 1)
        assert left % multiple == 0
        assert abs(left - exact) <= max(multiple / 2, multiple - exact)


@pytest.mark.parametrize("name", ["chain", "Joined", "LongSkip", "separable"])
def test_remaining_macs_are_those_of_the_pruned_network(make_tiny: Make, name: str) -> None:
    network = _Separable().eval() if name == "separable" else make_tiny(name)
    channels = Channels(network, 16, ALL)
    layers = _layers(network, channels)
    outside = count_work(network, 16).total_macs - sum(layer.macs for layer in layers)
    removed = {group: equal_share(group.width, 0.3, 1) for group in channels.groups}

    expected = remaining_macs(layers, removed)
    channels.cut({group: list(range(count)) for group, count in removed.items()})

    assert len(removed) >= 2
    assert count_work(network, 16).total_macs - outside == pytest.approx(expected, rel=1e-6)


def _curves(channels: Channels, costs: dict[str, float]) -> dict[str, LayerSensitivity]:
    return {
        group.name: LayerSensitivity(
            layer=group.name,
            channels=group.width,
            macs=0,
            ratios=list(RATIOS),
            loss_increase=[costs.get(group.name, 1.0) * ratio for ratio in RATIOS],
        )
        for group in channels.groups
    }


@pytest.mark.parametrize("ratio", [0.1, 0.3, 0.5, 0.7])
def test_allotment_comes_down_to_the_work_that_equal_shares_leave(
    make_tiny: Make, ratio: float
) -> None:
    network = make_tiny("chain")
    channels = Channels(network, 16, ALL)
    layers = _layers(network, channels)
    equal = {group: equal_share(group.width, ratio, 1) for group in channels.groups}

    removed = allot(channels.groups, layers, _curves(channels, {"3.0": 0.5}), ratio, 1)

    assert remaining_macs(layers, removed) <= remaining_macs(layers, equal)
    assert remaining_macs(layers, removed) > 0.8 * remaining_macs(layers, equal)


def test_groups_that_matter_little_give_more(make_tiny: Make) -> None:
    network = make_tiny("chain")
    channels = Channels(network, 16, ALL)

    removed = allot(
        channels.groups, _layers(network, channels), _curves(channels, {"3.0": 1e-3}), 0.3, 1
    )

    shares = {group.name: count / group.width for group, count in removed.items()}
    assert shares["3.0"] == max(shares.values()) > 0.3
    assert min(shares.values()) < 0.3


@pytest.mark.parametrize("ratio", [0.5, 0.95])
def test_no_group_loses_its_last_channel_and_multiples_are_kept(
    make_tiny: Make, ratio: float
) -> None:
    network = make_tiny("chain")
    channels = Channels(network, 16, ALL)

    removed = allot(
        channels.groups, _layers(network, channels), _curves(channels, {"3.0": 0.0}), ratio, 4
    )

    assert all(count < group.width for group, count in removed.items())
    assert all((group.width - count) % 4 == 0 for group, count in removed.items() if count)
