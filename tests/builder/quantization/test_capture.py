"""What FX cannot trace is captured as it runs, or told by module and line why not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from builder.errors import UnsupportedError
from builder.networks.architectures import resolve
from builder.quantization.capture import capture
from builder.quantization.coverage import int8_macs
from builder.quantization.engine import Engine, engine_obstacle, engine_selected
from builder.quantization.static import int8_modules, quantize_graph
from support.noise_images import NETWORKS, noise

#: What torch says of the users' own even kernels.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")

Make = Callable[..., nn.Module]


def _make(name: str) -> nn.Module:
    torch.manual_seed(0)
    return resolve(f"untraceable_networks:{name}", search_path=NETWORKS).create(3)


def _difference(network: nn.Module, other: nn.Module, images: Tensor) -> float:
    with torch.inference_mode():
        expected, got = network(images), other(images)
    return float((expected - got).abs().max() / (expected.max() - expected.min()))


@pytest.mark.parametrize("name", ["Padded", "Functional", "Windows"])
def test_a_captured_network_computes_the_same_at_any_batch_size(name: str) -> None:
    network = _make(name)
    captured = capture(network, noise(1))
    for count in (1, 2, 5):
        assert _difference(network, captured, noise(count)) < 1e-5


def test_captured_layers_are_torchs_own_modules_named_as_the_users() -> None:
    captured = capture(_make("Functional"), noise(2))
    kinds = {name: type(m) for name, m in captured.named_modules() if not list(m.children())}
    assert kinds == {
        "conv": nn.Conv2d,
        "nested.conv": nn.Conv2d,
        "nested.norm": nn.BatchNorm2d,
        "norm": nn.BatchNorm2d,
        "even": nn.Conv2d,
        "linear": nn.Linear,
    }


def test_even_padding_becomes_the_convolutions_own() -> None:
    captured = capture(_make("Padded"), noise(1, size=15))
    assert captured.get_submodule("first").padding == (1, 1)
    assert [node.target for node in captured.graph.nodes].count(torch.constant_pad_nd) == 1


def test_the_network_itself_stays_as_it_was() -> None:
    network = _make("Padded")
    capture(network, noise(1, size=15))
    assert network.get_submodule("first").padding == (0, 0)


def test_a_network_for_one_image_is_captured_for_one_image() -> None:
    network = _make("OnlyOne")
    assert _difference(network, capture(network, noise(4)), noise(1)) < 1e-5


@pytest.mark.parametrize("name", ["Padded", "Functional", "Windows", "OnlyOne"])
@pytest.mark.parametrize("engine", list(Engine))
def test_what_is_captured_runs_in_static_int8(name: str, engine: Engine) -> None:
    if reason := engine_obstacle(engine):
        pytest.skip(reason)
    network = _make(name)
    images = noise(8)
    with engine_selected(engine):
        quantized = quantize_graph(network, [images[:4], images[4:]], engine)
        with torch.inference_mode():
            expected = torch.cat([network(image[None]) for image in images])
            got = torch.cat([quantized(image[None]) for image in images])
    error = float((expected - got).abs().max() / (expected.max() - expected.min()))
    assert error < 0.15


def test_functional_layers_are_covered_and_counted() -> None:
    network, image = _make("Functional"), noise(1)
    with engine_selected(Engine.X86):
        quantized = quantize_graph(network, [noise(4)], Engine.X86)
        macs = int8_macs(quantized, image)
    assert int8_modules(quantized) == {"conv", "nested.conv", "even", "linear"}
    pixels = 16 * 16
    assert macs == pixels * 8 * (3 * 9 + 8 * 9 + 8 * 4) + 8 * 3


def test_a_decision_by_values_is_told_by_module_and_line(make_tiny: Make) -> None:
    expected = r"module 'body\.1' \(Chooser\) at tiny_networks\.py:\d+: `if float\(.*`: it decides"
    with pytest.raises(UnsupportedError, match=expected):
        capture(make_tiny("Choosing"), noise(1))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Hidden", r"untraceable_networks\.py:\d+: `return torch\.from_numpy.* decides by"),
        ("Writing", r"untraceable_networks\.py:\d+: `pooled\[:, 0\] = 0\.5`: it writes"),
    ],
)
def test_what_cannot_be_followed_is_not_captured(name: str, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        capture(_make(name), noise(1))
