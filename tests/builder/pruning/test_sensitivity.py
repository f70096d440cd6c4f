"""What losing filters costs: silencing comes to the same as surgery."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional

from builder.progress import Silence
from builder.pruning.channels import Channels
from builder.pruning.importance import rank_filters
from builder.pruning.method import ALL, Importance
from builder.pruning.sensitivity import measure_sensitivity
from builder.studies.sensitivity import Sensitivity
from support.noise_images import noise

Make = Callable[..., nn.Module]


def _shaken(network: nn.Module) -> nn.Module:
    """Batch normalisation as after training: every scale and offset its own."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5, generator=generator)
                module.bias.uniform_(0.1, 0.5, generator=generator)
    return network.eval()


def _measured(network: nn.Module) -> tuple[Channels, Sensitivity]:
    channels = Channels(network, 16, ALL)
    return channels, measure_sensitivity(
        channels,
        [noise(6), noise(2)],
        architecture="tiny",
        input_size=16,
        importance=Importance.L2,
        progress=Silence(),
    )


@pytest.mark.parametrize("name", ["chain", "Joined", "LongSkip"])
def test_silencing_costs_what_removal_costs(make_tiny: Make, name: str) -> None:
    torch.manual_seed(0)
    network = _shaken(make_tiny(name))
    images = torch.cat([noise(6), noise(2)])
    with torch.inference_mode():
        whole = network(images).log_softmax(dim=1)
    _, sensitivity = _measured(network)

    for layer in sensitivity.layers:
        for ratio, measured in zip(layer.ratios, layer.loss_increase, strict=True):
            cut = copy.deepcopy(network)
            channels = Channels(cut, 16, ALL)
            ranks = rank_filters(cut, channels.groups, Importance.L2, [])
            group = next(group for group in ranks if group.name == layer.layer)
            channels.cut({group: sorted(ranks[group][: int(ratio * group.width)].tolist())})
            with torch.inference_mode():
                answers = cut(images).log_softmax(dim=1)
            removed = functional.kl_div(answers, whole, log_target=True, reduction="batchmean")
            assert measured == pytest.approx(float(removed), rel=1e-3, abs=1e-6)
    assert max(max(layer.loss_increase) for layer in sensitivity.layers) > 1e-5


def test_measuring_leaves_the_network_as_it_was_to_the_bit(make_tiny: Make) -> None:
    network = _shaken(make_tiny("Joined"))
    before = copy.deepcopy(network.state_dict())

    _measured(network)

    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_coupled_convolutions_are_measured_once_together(make_tiny: Make) -> None:
    _, sensitivity = _measured(make_tiny("Joined"))

    entry = next(layer for layer in sensitivity.layers if layer.layer == "entry.0")
    assert entry.coupled == ["residual.0"]
    assert entry.macs == 16 * 16 * 9 * (16 * 20 + 20 * 20)
    assert sensitivity.images == 8
