"""Layers stay in floats only where the budget demands it, and no more than it takes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from builder.progress import Silence
from builder.quantization.budget import Held, quantize_within
from builder.quantization.damage import measure_damage
from builder.quantization.engine import Engine, engine_selected
from builder.quantization.static import int8_modules, quantize_graph
from support.noise_images import noise

_LAYERS = {"0", "2", "4", "6", "head.1"}


def _network() -> nn.Module:
    """Five layers; 2 has weights, for a dead channel, that leave no steps to all the others."""
    torch.manual_seed(0)
    network = nn.Sequential()
    for place in range(0, 8, 2):
        network.add_module(str(place), nn.Conv2d(8 if place else 3, 8, 3, padding=1))
        network.add_module(str(place + 1), nn.ReLU())
    head = nn.Sequential(nn.Flatten(), nn.Linear(8 * 16 * 16, 5))
    network.add_module("head", head)
    with torch.no_grad():
        network.get_submodule("0").weight[0] = 0
        network.get_submodule("0").bias[0] = 0
        network.get_submodule("2").weight[:, 0] *= 300
        head[1].weight *= 20
    return network.eval()


def _within(max_drop: float, drops: list[float], asked: list[Tensor]) -> Held:
    images = noise(8)

    def drop_of(network: nn.Module) -> float:
        with torch.inference_mode():
            asked.append(network(images))
        return drops[min(len(asked), len(drops)) - 1]

    with engine_selected(Engine.X86):
        return quantize_within(
            _network(),
            [images[:4], images[4:]],
            Engine.X86,
            drop_of=drop_of,
            max_drop=max_drop,
            progress=Silence(),
            activity="",
        )


def test_nothing_stays_in_floats_where_all_of_int8_keeps_the_budget() -> None:
    asked: list[Tensor] = []
    held = _within(0.1, [0.1], asked)
    assert (held.float_layers, held.drop, held.damages) == ((), 0.1, ())
    assert len(asked) == 1
    assert int8_modules(held.network) == _LAYERS


def test_the_layer_that_hurts_most_is_kept_first() -> None:
    held = _within(0.1, [0.5, 0.0], [])
    assert held.float_layers == ("2",)
    assert int8_modules(held.network) == _LAYERS - {"2"}
    assert type(held.network.get_submodule("2")).__module__.startswith(
        ("torch.nn", "torch.ao.nn.int")
    )
    assert {damage.layer for damage in held.damages} == _LAYERS


def test_more_are_kept_only_as_long_as_the_budget_demands_it() -> None:
    held = _within(0.1, [0.5, 0.4, 0.05], [])
    assert len(held.float_layers) == 2
    assert held.float_layers[0] == "2"
    assert held.drop == 0.05


def test_where_half_of_the_layers_do_not_help_the_best_attempt_is_the_result() -> None:
    asked: list[Tensor] = []
    held = _within(0.1, [0.5, 0.3, 0.4], asked)
    assert (len(held.float_layers), held.drop) == (1, 0.3)
    assert len(asked) == 3


def test_a_network_with_its_worst_layer_in_floats_is_nearer_to_itself() -> None:
    asked: list[Tensor] = []
    _within(0.1, [0.5, 0.0], asked)
    with torch.inference_mode():
        exact = _network()(noise(8))
    before, after = (float((logits - exact).abs().max()) for logits in asked)
    assert after < 0.5 * before


def test_each_layers_damage_is_measured_alone_with_its_work() -> None:
    with engine_selected(Engine.X86):
        damages = measure_damage(
            _network(), [noise(8)], Engine.X86, progress=Silence(), activity=""
        )
    assert [damage.layer for damage in damages] == ["0", "2", "4", "6", "head.1"]
    assert [damage.macs for damage in damages] == [
        16 * 16 * 8 * 27, *[16 * 16 * 8 * 72] * 3, 8 * 16 * 16 * 5
    ]  # fmt: skip
    by_layer = {damage.layer: damage.kl_nats for damage in damages}
    assert max(by_layer, key=lambda layer: by_layer[layer]) == "2"
    assert min(by_layer.values()) >= 0


def test_layers_named_stay_in_floats() -> None:
    with engine_selected(Engine.X86):
        quantized = quantize_graph(_network(), [noise(4)], Engine.X86, keep_float=("0", "head.1"))
    assert int8_modules(quantized) == _LAYERS - {"0", "head.1"}
