"""What networks of the user's own say of their input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from builder.data.declared_input import declared_input
from builder.data.standardization import IMAGENET
from builder.errors import ArchitectureError
from builder.networks.architectures import resolve
from contract.manifest import Interpolation, Preprocessing

NETWORKS = Path(__file__).parents[1] / "own"

Make = Callable[[str], nn.Module]


@pytest.fixture
def make() -> Make:
    return lambda name: resolve(f"declaring_networks:{name}", search_path=NETWORKS).create(3)


def test_all_that_it_says_is_taken(make: Make) -> None:
    assert declared_input(make("declaring"), "n") == Preprocessing(
        input_size=24, resize_size=32, interpolation=Interpolation.BICUBIC,
        mean=(0.5, 0.4, 0.3), std=(1.0, 1.0, 1.0),
    )  # fmt: skip


def test_an_object_under_the_older_name_will_do_and_gaps_are_filled(make: Make) -> None:
    assert declared_input(make("declaring_object"), "n") == Preprocessing(
        input_size=224, resize_size=224, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    )


def test_a_network_that_says_nothing_has_no_rule(make_tiny: Callable[..., nn.Module]) -> None:
    assert declared_input(make_tiny("chain"), "n") is None


def test_nonsense_is_refused_with_its_place(make: Make) -> None:
    with pytest.raises(ArchitectureError, match=r"n: its pretrained_cfg: mean: .* from 0 to 1"):
        declared_input(make("declaring_nonsense"), "n")
    with pytest.raises(ArchitectureError, match=r"n: its default_cfg: input_size: .* square"):
        declared_input(make("declaring_oblong"), "n")


def test_an_unknown_filter_is_replaced_with_a_warning(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    rule = declared_input(make("declaring_odd_filter"), "n")

    assert rule is not None
    assert (rule.interpolation, rule.mean) == (Interpolation.BILINEAR, IMAGENET.mean)
    assert "random" in caplog.text
