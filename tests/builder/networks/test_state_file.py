"""State dicts on disk, and what they say of the network's input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from builder.errors import WeightsError
from builder.networks import vision
from builder.networks.state_file import read_state, write_state
from contract.manifest import Preprocessing

Make = Callable[..., nn.Module]


def test_the_rule_goes_with_the_weights(
    make_tiny: Make, rule: Preprocessing, tmp_path: Path
) -> None:
    network = make_tiny("chain")
    path = tmp_path / "new" / "chain.pt"

    write_state(network, rule, path)

    state = read_state(path)
    assert state.input_rule == rule
    assert state.tensors.keys() == network.state_dict().keys()


def test_the_file_is_a_plain_state_dict_for_everyone_else(
    make_tiny: Make, rule: Preprocessing, tmp_path: Path
) -> None:
    network, path = make_tiny("chain"), tmp_path / "chain.pt"
    write_state(network, rule, path)

    loaded = torch.load(path, weights_only=True)

    assert make_tiny("chain").load_state_dict(loaded, strict=True).missing_keys == []


def test_a_rule_is_found_inside_a_checkpoint_too(
    make_tiny: Make, rule: Preprocessing, tmp_path: Path
) -> None:
    write_state(make_tiny("chain"), rule, tmp_path / "bare.pt")
    bare = torch.load(tmp_path / "bare.pt", weights_only=True)
    torch.save({"epoch": 3, "state_dict": bare}, tmp_path / "wrapped.pt")

    assert read_state(tmp_path / "wrapped.pt").input_rule == rule


def test_a_file_that_says_nothing_has_no_rule(make_tiny: Make, tmp_path: Path) -> None:
    path = tmp_path / "plain.pt"
    torch.save(make_tiny("chain").state_dict(), path)
    torch.save(dict(make_tiny("chain").state_dict()), tmp_path / "dict.pt")

    assert read_state(path).input_rule is None
    assert read_state(tmp_path / "dict.pt").input_rule is None


def test_a_damaged_rule_is_refused(make_tiny: Make, rule: Preprocessing, tmp_path: Path) -> None:
    path = tmp_path / "chain.pt"
    write_state(make_tiny("chain"), rule, path)
    state = torch.load(path, weights_only=True)
    state._metadata[""]["edgewright_input"] = "{"  # noqa: SLF001 - as another program might
    torch.save(state, path)

    with pytest.raises(WeightsError, match=r"chain\.pt: what it says of the network's input"):
        read_state(path)


def test_a_network_that_transforms_its_input_is_fed_the_result_later(rule: Preprocessing) -> None:
    network = vision.network_factory("googlenet")(num_classes=2)
    assert vision.without_own_transform(network, rule) == rule
    vision.expect_published_input(network)
    published = vision.published_weights("googlenet")
    image = torch.rand(1, 3, 8, 8)

    plain = vision.without_own_transform(network, rule)

    def standardized(mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
        return (image - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)

    transformed = network._transform_input(standardized(published.mean, published.std))  # noqa: SLF001 - what it does is to be matched
    torch.testing.assert_close(transformed, standardized(plain.mean, plain.std))
