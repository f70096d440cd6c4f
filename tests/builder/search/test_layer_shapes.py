from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from builder.networks.complexity import count_work
from builder.search.layer_shapes import layer_shapes
from builder.search.workload import LayerKind, LayerShape


@pytest.mark.parametrize("name", ["chain", "Joined", "Grouped", "AllConvolutions"])
def test_layers_add_up_to_the_work_of_the_whole_network(
    make_tiny: Callable[[str], nn.Module], name: str
) -> None:
    network = make_tiny(name)
    shapes = layer_shapes(network, 16)
    assert sum(shape.macs for shape in shapes) == count_work(network, 16).total_macs > 0


def test_kinds_of_convolutions_are_told_apart() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, groups=8, bias=False),
        nn.Conv2d(8, 8, 3, groups=2, bias=False),
        nn.Conv2d(8, 4, 1, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 2),
    )
    assert layer_shapes(network.eval(), 8) == [
        LayerShape(kind=LayerKind.DENSE, macs=36 * 216, weight_elements=216, output_elements=288),
        LayerShape(kind=LayerKind.DEPTHWISE, macs=16 * 72, weight_elements=72, output_elements=128),
        LayerShape(kind=LayerKind.DENSE, macs=4 * 288, weight_elements=288, output_elements=32),
        LayerShape(kind=LayerKind.POINTWISE, macs=4 * 32, weight_elements=32, output_elements=16),
        LayerShape(kind=LayerKind.ELEMENTWISE, macs=0, weight_elements=0, output_elements=4),
        LayerShape(kind=LayerKind.LINEAR, macs=8, weight_elements=10, output_elements=2),
    ]


def test_networks_without_memory_are_shaped_and_left_without_hooks() -> None:
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)).eval()
    assert [shape.output_elements for shape in layer_shapes(network, 8)] == [256, 256]
    assert len(layer_shapes(network, 8)) == 2
