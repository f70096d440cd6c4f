"""Channels that others can stand in for cost nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from builder.errors import UnsupportedError
from builder.pruning.method import Method
from builder.pruning.surgery import prune, repeat
from support.noise_images import noise

Make = Callable[..., nn.Module]


def _error(network: nn.Module, method: Method) -> float:
    images = noise(64)
    cut = copy.deepcopy(network)
    prune(cut, input_size=16, ratio=0.1, method=method, inputs=[images])
    with torch.inference_mode():
        return float((cut(images) - network(images)).abs().max())


@pytest.mark.parametrize(("deepest", "layer"), [(1, "4.0"), (2, "3.0")])
def test_channels_that_are_mixtures_of_kept_ones_are_made_up_for(
    make_tiny: Make, deepest: int, layer: str
) -> None:
    """The reader is a Linear for the last convolution, and a convolution for the one before."""
    torch.manual_seed(0)
    network = make_tiny("chain")
    convolution = network.get_submodule(layer)
    with torch.no_grad():
        for place in range(convolution.out_channels // 10):
            convolution.weight[place] = 0.3 * convolution.weight[-1 - place]
        if deepest == 2:
            network.get_submodule("4.0").weight[:2] = 0.0

    plain = _error(network, Method(deepest=deepest))
    compensated = _error(network, Method(deepest=deepest, compensate=True))

    assert plain > 1e-4
    assert compensated < 0.1 * plain


def test_a_cut_can_be_repeated_on_the_network_as_it_came(make_tiny: Make) -> None:
    torch.manual_seed(0)
    network = make_tiny("Joined")
    again = copy.deepcopy(network)
    surgery = prune(network, input_size=16, ratio=0.3, method=Method())

    repeat(again, surgery.cuts, input_size=16, deepest=None)

    with torch.inference_mode():
        assert torch.equal(again(noise(4)), network(noise(4)))
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_a_cut_of_another_network_is_refused_by_the_layer(make_tiny: Make) -> None:
    surgery = prune(make_tiny("Joined"), input_size=16, ratio=0.3, method=Method())

    with pytest.raises(UnsupportedError, match=r"entry\.0: was cut before"):
        repeat(make_tiny("chain"), surgery.cuts, input_size=16, deepest=None)
