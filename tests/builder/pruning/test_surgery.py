"""Surgery on real networks: what goes, what stays, and that the rest still computes the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from builder.errors import UnsupportedError
from builder.networks.architectures import resolve
from builder.pruning.channels import Channels
from builder.pruning.method import Method
from builder.pruning.surgery import prune

Make = Callable[..., nn.Module]

VGG19_DEEPEST = [f"features.{place}" for place in (16, 19, 21, 23, 25, 28, 30, 32, 34)]


def _network(name: str, classes: int) -> nn.Module:
    torch.manual_seed(0)
    return resolve(name, search_path=Path()).create(classes)


def _parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def test_vgg19_comes_to_the_published_figures() -> None:
    """143,667,240 parameters become 130,025,825 with nine convolutions a tenth narrower."""
    network = _network("vgg19", 1000)
    before = _parameters(network)

    surgery = prune(network, input_size=32, ratio=0.1, method=Method(deepest=9))

    assert (before, _parameters(network)) == (143_667_240, 130_025_825)
    assert [layer.name for layer in surgery.layers] == VGG19_DEEPEST
    assert [layer.channels_before - layer.channels_after for layer in surgery.layers] == [25] + [
        51
    ] * 8
    assert surgery.left_alone == ()


def _zero_some_filters(network: nn.Module, ratio: float) -> None:
    """Silence the same floor(ratio) filters in all convolutions of equal width."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.groups == 1:
            noise = torch.Generator().manual_seed(module.out_channels)
            order = torch.randperm(module.out_channels, generator=noise)
            silent = order[: math.floor(ratio * module.out_channels)]
            with torch.no_grad():
                module.weight[silent] = 0.0
                if module.bias is not None:
                    module.bias[silent] = 0.0


@pytest.mark.parametrize(
    ("name", "size", "pruned"),
    [
        ("vgg11_bn", 32, 4),
        ("resnet18", 32, 10),
        ("resnet50", 32, 20),
        ("inception_v3", 80, 47),
        ("googlenet", 32, 28),
        ("densenet121", 32, 60),
        ("mobilenet_v2", 32, 24),
    ],
)
def test_removing_filters_that_are_zero_changes_no_answer(
    name: str, size: int, pruned: int
) -> None:
    """Zero filters have the lowest norm, so exactly they must go, through every kind of joint."""
    network = _network(name, 10)
    _zero_some_filters(network, 0.1)
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network(images)

    before = _parameters(network)
    surgery = prune(network, input_size=size, ratio=0.1, method=Method())

    assert len(surgery.layers) == pruned
    assert _parameters(network) < before
    with torch.inference_mode():
        got = network(images)
    span = float(expected.max() - expected.min())
    assert float((expected - got).abs().max()) <= 1e-4 * span


@given(percent=st.integers(min_value=4, max_value=90))
def test_the_filters_of_lowest_norm_go_and_their_number_is_rounded_down(
    make_tiny: Make, percent: int
) -> None:
    network = make_tiny("chain")
    last = network.get_submodule("4.0")
    norms = last.weight.detach().flatten(1).norm(dim=1)
    count = percent * 20 // 100
    kept = norms.argsort()[count:].sort().values
    expected = last.weight.detach()[kept].clone()

    if count == 0:
        with pytest.raises(UnsupportedError, match=r"4\.0 \(4% of 20 filters is none\)"):
            prune(network, input_size=16, ratio=percent / 100, method=Method(deepest=1))
        return
    surgery = prune(network, input_size=16, ratio=percent / 100, method=Method(deepest=1))

    assert [layer.channels_after for layer in surgery.layers] == [20 - count]
    assert torch.equal(network.get_submodule("4.0").weight, expected)
    assert network.get_submodule("5.fc").weight.shape == (3, 20 - count)


def test_norms_are_taken_before_the_first_cut(make_tiny: Make) -> None:
    """A filter that is strong only through inputs that go away is judged as it was."""
    torch.manual_seed(0)
    network = make_tiny("chain")
    first, second = network.get_submodule("3.0"), network.get_submodule("4.0")
    with torch.no_grad():
        first.weight[:6] = 1e-3  # these six inputs of the next layer will be cut
        second.weight[:] = 1.0
        second.weight[0] = 0.1
        second.weight[0, :6] = 10.0  # strong now, weakest after the cut
        second.weight[5] = 0.5
        second.weight[7] = 0.5
        second.weight[9] = 0.5
        second.weight[11] = 0.5

    prune(network, input_size=16, ratio=0.2, method=Method(deepest=2))

    kept = network.get_submodule("4.0").weight.detach()
    assert kept.shape[:2] == (16, 24)
    assert float(kept[0].max()) == pytest.approx(0.1)


def test_joined_channels_are_cut_once_by_their_joint_norm(make_tiny: Make) -> None:
    torch.manual_seed(0)
    network = make_tiny("Joined")
    entry, residual = network.get_submodule("entry.0"), network.get_submodule("residual.0")
    with torch.no_grad():
        entry.weight[:] = 1.0
        residual.weight[:] = 1.0
        entry.weight[0] = 0.0  # weakest alone, but its partner is strong
        residual.weight[0] = 9.0
        entry.weight[[3, 8]] = 0.1
        residual.weight[[3, 8]] = 0.1

    surgery = prune(network, input_size=16, ratio=0.1, method=Method())

    layers = {layer.name: (layer.channels_before, layer.channels_after) for layer in surgery.layers}
    assert layers == {
        "entry.0": (20, 18),
        "residual.0": (20, 18),
        "left.0": (10, 9),
        "right.0": (30, 27),
    }
    assert float(network.get_submodule("residual.0").weight.detach()[0].max()) == 9.0
    assert float(network.get_submodule("entry.0").weight.detach()[1:].min()) == 1.0
    assert network.get_submodule("head.fc").weight.shape == (3, 36)


def test_a_layer_coupled_with_one_that_was_not_chosen_is_left_alone(make_tiny: Make) -> None:
    network = make_tiny("LongSkip")

    surgery = prune(network, input_size=16, ratio=0.1, method=Method())

    assert [layer.name for layer in surgery.layers] == ["third.0"]
    assert surgery.left_alone == ("fourth.0 (coupled with first.0)",)


def test_layers_at_grouped_convolutions_are_left_alone(make_tiny: Make) -> None:
    with pytest.raises(UnsupportedError, match=r"third\.0 \(meets the groups of fourth\.0\)"):
        prune(make_tiny("Grouped"), input_size=16, ratio=0.25, method=Method())


def test_the_channels_that_are_the_output_are_never_cut(make_tiny: Make) -> None:
    with pytest.raises(UnsupportedError, match=r"last \(its channels are the output\)"):
        prune(make_tiny("AllConvolutions"), input_size=16, ratio=0.5, method=Method())


def test_a_network_without_enough_convolutions_is_named_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="nothing to prune: none of the deepest 0 of 1"):
        prune(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 36, 3)).eval(),
              input_size=8, ratio=0.1, method=Method())  # fmt: skip


def test_a_network_that_the_graph_cannot_follow_is_named_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="torch-pruning cannot follow its channels"):
        prune(_network("shufflenet_v2_x0_5", 3), input_size=32, ratio=0.1, method=Method())


def test_linears_that_others_read_lose_features_where_asked(
    make_tiny: Make,
) -> None:
    network = make_tiny("Gridded")
    method = Method(deepest=1, linears=True, round_to=8)

    surgery = prune(network, input_size=16, ratio=0.5, method=method)

    assert [(one.name, one.channels_before, one.channels_after) for one in surgery.layers] == [
        ("body.3", 16, 8),
        ("head.0", 40, 24),
        ("head.3", 32, 16),
    ]
    # The last Linear's features are the classes: nobody has to be told that they stay.
    assert surgery.left_alone == ()
    assert [tuple(m.weight.shape) for m in network.head if isinstance(m, nn.Linear)] == [
        (24, 72),
        (16, 24),
        (3, 16),
    ]


def test_removing_features_that_are_zero_changes_no_answer(
    make_tiny: Make,
) -> None:
    torch.manual_seed(0)
    network = make_tiny("Gridded")
    for name in ("head.0", "head.3"):
        linear = network.get_submodule(name)
        with torch.no_grad():
            linear.weight[::2] = 0.0
            linear.bias[::2] = 0.0
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    expected = network(images)

    prune(network, input_size=16, ratio=0.5, method=Method(deepest=0, linears=True))

    assert torch.allclose(network(images), expected, atol=1e-5)
    assert network.get_submodule("head.3").weight.shape == (16, 20)


def test_tokens_are_not_rows_of_features() -> None:
    """A transformer's Linears read [N, tokens, features] and are left alone."""
    network = _network("vit_b_32", 10)

    surgery_scope = Channels(network, 224, 0, linears=True).scope

    assert surgery_scope.endswith("and 1 Linears")
