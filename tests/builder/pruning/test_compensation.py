"""Channels that others can stand in for cost nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from builder.errors import UnsupportedError
from builder.pruning.channels import Channels
from builder.pruning.compensation import compensate
from builder.pruning.method import ALL, Method
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


@pytest.mark.parametrize("producer", ["body.0", "body.3", "head.0"])
def test_constants_go_into_the_bias_of_what_reads_them(make_tiny: Make, producer: str) -> None:
    """A channel that always gives the same, read by a convolution, a flattened map, a Linear."""
    torch.manual_seed(0)
    network = make_tiny("Gridded")
    layer = network.get_submodule(producer)
    with torch.no_grad():
        layer.weight[0] = 0.0
        layer.bias[0] = 2.0
    images = noise(64)
    with torch.inference_mode():
        expected = network(images)

    def error(*, compensated: bool) -> float:
        cut = copy.deepcopy(network)
        channels = Channels(cut, 16, ALL, linears=True)
        doomed = {group: [0] for group in channels.groups if group.name == producer}
        if compensated:
            compensate(cut, doomed, [images])
        channels.cut(doomed)
        with torch.inference_mode():
            return float((cut(images) - expected).abs().max())

    assert error(compensated=False) > 0.01
    # At the border a convolution reads zeros instead, of which a bias knows nothing.
    allowed = 0.8 if producer == "body.0" else 1e-3
    assert error(compensated=True) < allowed * error(compensated=False)


def test_places_of_a_flattened_map_share_one_mixture(make_tiny: Make) -> None:
    """Fewer images than inputs of the Linear are enough to find it."""
    torch.manual_seed(0)
    network = make_tiny("Gridded")
    producer = network.get_submodule("body.3")
    with torch.no_grad():
        producer.weight[0] = 0.3 * producer.weight[5]
        producer.bias[0] = 0.3 * producer.bias[5]
    few = noise(8)
    cut = copy.deepcopy(network)

    prune(cut, input_size=16, ratio=0.1, method=Method(deepest=1, compensate=True), inputs=[few])

    others = noise(64)[8:]
    with torch.inference_mode():
        assert torch.allclose(cut(others), network(others), atol=1e-3)


def test_a_cut_can_be_repeated_on_the_network_as_it_came(make_tiny: Make) -> None:
    torch.manual_seed(0)
    network = make_tiny("Joined")
    again = copy.deepcopy(network)
    surgery = prune(network, input_size=16, ratio=0.3, method=Method())

    repeat(again, surgery.cuts, input_size=16, method=Method())

    with torch.inference_mode():
        assert torch.equal(again(noise(4)), network(noise(4)))
    for name, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])


def test_a_cut_of_another_network_is_refused_by_the_layer(make_tiny: Make) -> None:
    surgery = prune(make_tiny("Joined"), input_size=16, ratio=0.3, method=Method())

    with pytest.raises(UnsupportedError, match=r"entry\.0: was cut before"):
        repeat(make_tiny("chain"), surgery.cuts, input_size=16, method=Method())
