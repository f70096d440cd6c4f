"""Poolings that enlarge go into the Linear behind them, and no answer changes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from builder.networks.architectures import resolve
from builder.networks.pooling import fold_enlarging_pools

GRID = (3, 5)
CHANNELS = 4


class Pooled(nn.Module):
    """A convolution, a pooling to 3 x 5 places, and a Linear over all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, CHANNELS, 3, stride=8)
        self.pool = nn.AdaptiveAvgPool2d(GRID)
        self.drop = nn.Dropout()
        self.fc = nn.Linear(CHANNELS * GRID[0] * GRID[1], 6)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.drop(self.pool(self.body(images)).flatten(1)))


class ReadTwice(Pooled):
    """The pooled map is also averaged beside the Linear."""

    def forward(self, images: Tensor) -> Tensor:
        pooled = self.pool(self.body(images))
        return self.fc(pooled.flatten(1)) + pooled.square().mean()


class Rectified(Pooled):
    """Something computes between the pooling and the Linear."""

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(torch.relu(self.pool(self.body(images))).flatten(1))


def _seeded(kind: type[nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return kind().eval()


def _images(size: int) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("size", [8, 16, 24])
def test_the_folded_network_gives_the_same_logits(size: int) -> None:
    """Maps of 1, 2 and 3 places a side onto 3 x 5, where places overlap."""
    network = _seeded(Pooled)
    images = _images(size)
    expected = network(images)

    folded, pools = fold_enlarging_pools(network, size)

    assert pools == ("pool",)
    assert torch.allclose(folded(images), expected, atol=1e-5)
    places = (size // 8) ** 2
    assert folded.get_submodule("fc").weight.shape == (6, CHANNELS * places)


def test_the_network_itself_is_left_as_it_was() -> None:
    """Stems are shared by variants of several sizes."""
    network = _seeded(Pooled)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    folded, _ = fold_enlarging_pools(network, 16)

    after = network.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    shared = folded.get_submodule("body").weight
    assert shared.data_ptr() == network.get_submodule("body").weight.data_ptr()


@pytest.mark.parametrize("kind", [ReadTwice, Rectified])
def test_what_cannot_be_folded_is_left(kind: type[nn.Module]) -> None:
    """Another reader, or arithmetic in between, and the network comes back as it is."""
    network = _seeded(kind)

    assert fold_enlarging_pools(network, 16) == (network, ())


def test_pooling_that_does_not_enlarge_is_left() -> None:
    """A larger Linear would do more work, not less."""
    network = _seeded(Pooled)

    assert fold_enlarging_pools(network, 64) == (network, ())


@pytest.mark.parametrize(
    ("name", "size", "features"), [("vgg11", 64, 512 * 4), ("alexnet", 96, 256 * 4)]
)
def test_torchvision_networks_lose_weights_at_small_inputs(
    name: str, size: int, features: int
) -> None:
    """VGG-11 at 64 px: 2 x 2 places instead of 7 x 7; AlexNet at 96 px of 6 x 6."""
    torch.manual_seed(0)
    network = resolve(name, search_path=Path()).create(10)
    images = _images(size)

    folded, pools = fold_enlarging_pools(network, size)

    assert pools == ("avgpool",)
    linear = next(module for module in folded.modules() if isinstance(module, nn.Linear))
    assert linear.in_features == features
    with torch.no_grad():
        expected = network(images)
        assert torch.allclose(folded(images), expected, atol=1e-4 * float(expected.abs().max()))
