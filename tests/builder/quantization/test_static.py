"""INT8: what is covered, for which engine, and what cannot be."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from builder.errors import UnsupportedError
from builder.quantization.coverage import int8_macs
from builder.quantization.dynamic import quantize_linears
from builder.quantization.engine import Engine, engine_selected, host_engine
from builder.quantization.static import int8_modules, quantize_graph

Make = Callable[..., nn.Module]

IMAGE = torch.zeros(1, 3, 16, 16)


def _images(count: int) -> Tensor:
    return torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_dynamic_int8_covers_every_linear_and_nothing_else(make_tiny: Make) -> None:
    with engine_selected(Engine.X86):
        quantized = quantize_linears(make_tiny("Joined"), IMAGE)

    assert int8_modules(quantized) == {"head.fc"}
    assert quantized.get_submodule("head.fc").weight().dtype is torch.qint8
    assert isinstance(quantized.get_submodule("stem.0.0"), nn.Conv2d)


def test_dynamic_int8_leaves_the_network_itself_as_it_was(make_tiny: Make) -> None:
    network = make_tiny("Joined")

    with engine_selected(Engine.X86):
        quantize_linears(network, IMAGE)

    assert type(network.get_submodule("head.fc")) is nn.Linear


def test_dynamic_int8_without_a_linear_is_unsupported(make_tiny: Make) -> None:
    with pytest.raises(UnsupportedError, match="this network has none"):
        quantize_linears(make_tiny("AllConvolutions"), IMAGE)


def test_a_network_that_reaches_into_its_linears_is_unsupported() -> None:
    class Reaching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(3 * 16 * 16, 3)

        def forward(self, images: Tensor) -> Tensor:
            return nn.functional.linear(images.flatten(1), self.fc.weight, self.fc.bias)

    with (
        engine_selected(Engine.X86),
        pytest.raises(UnsupportedError, match="does not run with dynamic INT8 Linears"),
    ):
        quantize_linears(Reaching().eval(), IMAGE)


@pytest.mark.parametrize("engine", list(Engine))
def test_static_int8_covers_convolutions_and_linears_with_a_scale_per_channel(
    make_tiny: Make, engine: Engine
) -> None:
    torch.manual_seed(0)
    network = make_tiny("Joined")
    images = _images(8)
    with torch.inference_mode(), engine_selected(engine):
        quantized = quantize_graph(network, [images[:4], images[4:]], engine)
        expected = network(images)
        error = float((quantized(images) - expected).abs().max())
        span = float(expected.max() - expected.min())

    convolutions = {n for n, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    assert int8_modules(quantized) == convolutions | {"head.fc"}
    for name in int8_modules(quantized):
        weight = quantized.get_submodule(name).weight()
        assert weight.qscheme() == torch.per_channel_affine
        assert weight.dtype is torch.qint8
    assert error <= 0.1 * span


def test_static_int8_takes_its_ranges_from_the_images(make_tiny: Make) -> None:
    with engine_selected(Engine.X86):
        narrow = quantize_graph(make_tiny("chain"), [_images(4)], Engine.X86)
        wide = quantize_graph(make_tiny("chain"), [_images(4) * 10], Engine.X86)

    # Of 127 steps, because the engine keeps one of its 8 bits free.
    span = float(_images(4).max() - _images(4).min())
    scale_of_input = next(value for name, value in narrow.named_buffers() if "scale" in name)
    assert float(scale_of_input) == pytest.approx(span / 127, rel=0.1)
    scale_of_input = next(value for name, value in wide.named_buffers() if "scale" in name)
    assert float(scale_of_input) == pytest.approx(10 * span / 127, rel=0.1)


def test_a_module_that_fx_cannot_trace_is_named(make_tiny: Make) -> None:
    with pytest.raises(
        UnsupportedError, match=r"module 'body\.1' \(Chooser\) at tiny_networks.py:\d+: `if float"
    ):
        quantize_graph(make_tiny("Choosing"), [_images(1)], Engine.X86)


def test_the_engine_is_put_back_even_after_an_error() -> None:
    before = torch.backends.quantized.engine

    def fail_on_qnnpack() -> None:
        with engine_selected(Engine.QNNPACK):
            assert torch.backends.quantized.engine == "qnnpack"
            raise UnsupportedError

    with pytest.raises(UnsupportedError):
        fail_on_qnnpack()
    assert torch.backends.quantized.engine == before


def test_this_hosts_engine_is_one_that_its_torch_has() -> None:
    assert host_engine() in torch.backends.quantized.supported_engines


def test_what_torch_says_of_its_own_future_is_not_passed_on(make_tiny: Make) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with engine_selected(Engine.X86):
            quantize_linears(make_tiny("chain"), IMAGE)
            quantize_graph(make_tiny("chain"), [_images(1)], Engine.X86)


class _Residual(nn.Module):
    """A block of a ResNet: the branch is added before the last ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.branch = nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8),
        )  # fmt: skip
        self.relu = nn.ReLU()
        self.fc = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        trunk = self.relu(self.stem(images))
        return self.fc(self.relu(self.branch(trunk) + trunk).mean(dim=(2, 3)))


def test_onednn_adds_a_residual_branch_inside_the_convolution_and_counts_it_as_int8() -> None:
    torch.manual_seed(0)
    network, images = _Residual().eval(), _images(8)
    expected = network(images).detach()
    kinds, shares = {}, {}
    for engine in (Engine.X86, Engine.ONEDNN):
        with engine_selected(engine):
            quantized = quantize_graph(network, [images], engine)
            kinds[engine] = {type(module).__name__ for module in quantized.modules()}
            shares[engine] = int8_macs(quantized, images[:1])
            span = float(expected.max() - expected.min())
            assert float((quantized(images) - expected).abs().max()) < 0.05 * span

    assert "ConvAddReLU2d" in kinds[Engine.ONEDNN]
    assert "ConvAddReLU2d" not in kinds[Engine.X86]
    assert shares[Engine.ONEDNN] == shares[Engine.X86] > 0
