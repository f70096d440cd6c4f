"""Each measure lets those filters go that a made-up network makes unimportant."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from builder.errors import NothingToPruneError
from builder.pruning.channels import Channels
from builder.pruning.importance import rank_filters
from builder.pruning.method import ALL, Importance, Method
from builder.pruning.surgery import prune
from support.noise_images import noise

Make = Callable[..., nn.Module]


def _weakest(network: nn.Module, importance: Importance, count: int) -> list[int]:
    """The least important filters of the deepest convolution."""
    channels = Channels(network, 16, 1)
    (rank,) = rank_filters(network, channels.groups, importance, [noise(8)]).values()
    return sorted(rank[:count].tolist())


def test_l2_finds_the_small_filters(make_tiny: Make) -> None:
    network = make_tiny("chain")
    with torch.no_grad():
        network.get_submodule("4.0").weight[[2, 11]] *= 0.01

    assert _weakest(network, Importance.L2, 2) == [2, 11]


def test_batchnorm_finds_the_small_scales_whatever_their_sign(make_tiny: Make) -> None:
    network = make_tiny("chain")
    with torch.no_grad():
        scales = network.get_submodule("4.1").weight
        scales[[5, 9]] = -0.01
        scales[3] = -2.0

    assert _weakest(network, Importance.BATCHNORM, 2) == [5, 9]


def test_taylor_finds_large_filters_that_no_answer_depends_on(make_tiny: Make) -> None:
    torch.manual_seed(0)
    network = make_tiny("chain")
    with torch.no_grad():
        network.get_submodule("4.0").weight[[4, 17]] *= 2.0
        network.get_submodule("5.fc").weight[:, [4, 17]] = 0.0

    assert _weakest(network, Importance.TAYLOR, 2) == [4, 17]
    assert _weakest(network, Importance.L2, 2) != [4, 17]


def test_taylor_leaves_no_gradients_behind(make_tiny: Make) -> None:
    network = make_tiny("chain")

    _weakest(network, Importance.TAYLOR, 1)

    assert all(parameter.grad is None for parameter in network.parameters())


class _HalfNormalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.plain = nn.Conv2d(3, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.fc = nn.Linear(8, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.fc(self.norm(self.second(self.plain(images).relu())).relu().mean(dim=(2, 3)))


def test_layers_without_batchnorm_are_named_as_left_alone() -> None:
    method = Method(deepest=ALL, importance=Importance.BATCHNORM)

    surgery = prune(_HalfNormalised().eval(), input_size=16, ratio=0.25, method=method)

    assert [layer.name for layer in surgery.layers] == ["second"]
    assert surgery.left_alone == ("plain (has no batch normalisation to rank its filters by)",)


def test_a_network_without_any_batchnorm_has_nothing_to_prune() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3)
    )
    method = Method(deepest=ALL, importance=Importance.BATCHNORM)

    with pytest.raises(NothingToPruneError, match="no batch normalisation"):
        prune(network.eval(), input_size=16, ratio=0.25, method=method)
