"""Parameters, bytes and MACs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from builder.networks.architectures import resolve
from builder.networks.complexity import count_work, list_blocks, stored_tensors
from builder.quantization.dynamic import quantize_linears
from builder.quantization.engine import Engine, engine_selected
from builder.quantization.static import quantize_graph

Make = Callable[..., nn.Module]

IMAGE = torch.zeros(1, 3, 16, 16)


def test_work_of_a_convolution_and_a_linear_is_what_the_formula_says() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16 * 16, 5)
    ).eval()

    work = count_work(network, 16)

    assert work.macs == {"0": 8 * 3 * 9 * 256, "3": 8 * 256 * 5}
    assert work.total_macs == sum(work.macs.values())


def test_work_of_resnet18_at_224_is_the_known_figure() -> None:
    with torch.device("meta"):
        network = resolve("resnet18", search_path=Path()).create(1000)
        assert count_work(network, 224).total_macs == 1_814_073_344


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("resnet18", ["conv1", "bn1", "layer1.0", "layer1.1"]),
        ("vgg11", ["features.0", "features.3", "features.6", "features.8"]),
        ("inception_v3", ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1"]),
    ],
)
def test_blocks_follow_the_module_tree_and_add_up(name: str, blocks: list[str]) -> None:
    torch.manual_seed(0)
    network = resolve(name, search_path=Path()).create(4)
    work = count_work(network, 80)
    stored = list(stored_tensors(network))

    listed = list_blocks(network, stored, work)

    assert [block.name for block in listed][:4] == blocks
    assert sum(b.parameters for b in listed) == sum(p.numel() for p in network.parameters())
    assert sum(b.macs for b in listed) == work.total_macs
    assert sum(b.bytes for b in listed) == sum(
        value.nbytes for value in network.state_dict().values()
    )


def test_zero_weights_are_not_active() -> None:
    network = nn.Linear(4, 2)
    with torch.no_grad():
        network.weight[0] = 0.0
        network.bias[:] = 1.0

    tensors = list(stored_tensors(network))

    assert sum(t.elements for t in tensors) == 10
    assert sum(t.non_zero for t in tensors) == 6


@pytest.mark.parametrize("engine", list(Engine))
def test_quantized_weights_are_counted_unpacked(make_tiny: Make, engine: Engine) -> None:
    torch.manual_seed(0)
    network = make_tiny("chain")
    floats = sum(p.numel() for p in network.parameters())
    # Batch normalisation (two numbers a channel) melts into its convolution (one bias).
    channels = 16 + 16 + 30 + 20
    with engine_selected(engine):
        dynamic = list(stored_tensors(quantize_linears(network, IMAGE)))
        static = list(stored_tensors(quantize_graph(network, [torch.randn(2, 3, 16, 16)], engine)))

    assert sum(t.elements for t in dynamic if t.is_parameter) == floats
    assert sum(t.elements for t in static if t.is_parameter) == floats - channels
    first = next(t for t in static if t.name == "0.0.weight")
    scale_and_zero_point = 16
    assert first.bytes == 16 * 27 + 16 * scale_and_zero_point


def test_packed_weights_of_functional_calls_are_counted() -> None:
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel = nn.Parameter(torch.randn(4, 192))
            self.offset = nn.Parameter(torch.randn(4))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return nn.functional.linear(images.flatten(1), self.kernel, self.offset)

    with engine_selected(Engine.X86):
        quantized = quantize_graph(Functional().eval(), [torch.randn(1, 3, 8, 8)], Engine.X86)

    parameters = [t for t in stored_tensors(quantized) if t.is_parameter]
    assert sum(t.elements for t in parameters) == 4 * 192 + 4
