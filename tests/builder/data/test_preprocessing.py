"""Which rule images become input by: flags, weights files, networks, published weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.data.preprocessing import AskedInput, input_rule, resized
from builder.data.standardization import IMAGENET, Standardization
from builder.errors import InputRuleError
from builder.networks.architectures import resolve
from builder.networks.probing import trial_network
from builder.networks.weights import Origin, Weights
from contract.manifest import Interpolation, Preprocessing

NETWORKS = Path(__file__).parents[1] / "own"
LITE = Standardization(mean=(0.498, 0.498, 0.498), std=(0.502, 0.502, 0.502))
WRITTEN = Preprocessing(input_size=16, resize_size=16, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))


def _rule(
    spec: str,
    size: int | None = None,
    standardization: Standardization | None = None,
    *,
    published: bool = False,
    written: Preprocessing | None = None,
) -> Preprocessing:
    architecture = resolve(spec, search_path=NETWORKS)
    weights = Weights(
        architecture=architecture,
        origin=Origin.PUBLISHED if published else Origin.RANDOM,
        path=None,
        sha256=None,
        published=architecture.published if published else None,
        classes=None,
        input_rule=written,
    )
    asked = AskedInput(size=size, standardization=standardization)
    return input_rule(weights, trial_network(architecture, 3), asked)


def test_published_weights_keep_the_rule_that_they_came_with() -> None:
    rule = _rule("resnet50", published=True)

    assert (rule.input_size, rule.resize_size) == (224, 232)
    assert rule.interpolation is Interpolation.BILINEAR


def test_published_weights_at_another_size_cut_away_as_much() -> None:
    rule = _rule("vgg19", 448, published=True)

    assert (rule.input_size, rule.resize_size) == (448, 512)


def test_published_weights_take_no_other_standardisation() -> None:
    with pytest.raises(InputRuleError, match=r"resnet50 has .* published weights.* 0\.485"):
        _rule("resnet50", standardization=LITE, published=True)

    assert _rule("resnet50", standardization=IMAGENET, published=True).mean == IMAGENET.mean


def test_the_smaller_variant_is_cut_from_a_smaller_image_in_proportion() -> None:
    rule = _rule("vgg19", published=True)

    smaller = resized(rule, 160)

    assert (smaller.input_size, smaller.resize_size) == (160, 183)
    assert (smaller.mean, smaller.std) == (rule.mean, rule.std)


def test_a_network_trained_at_a_given_size_sees_the_whole_shorter_side() -> None:
    rule = _rule("vgg19", 48)

    assert (rule.input_size, rule.resize_size) == (48, 48)
    assert resized(rule, 32).resize_size == 32


def test_a_network_of_the_users_own_takes_224_and_imagenets_rule_unless_told() -> None:
    rule = _rule("tiny_networks:chain")

    assert rule.input_size == 224
    assert (rule.mean, rule.std) == (IMAGENET.mean, IMAGENET.std)


def test_what_a_network_says_of_itself_holds_in_proportion_at_other_sizes() -> None:
    rule = _rule("declaring_networks:declaring", 48)

    assert (rule.input_size, rule.resize_size) == (48, 64)
    assert rule.mean == (0.5, 0.4, 0.3)


def test_what_training_wrote_comes_before_what_the_network_says() -> None:
    assert _rule("declaring_networks:declaring", written=WRITTEN) == WRITTEN
    assert _rule("resnet18", written=WRITTEN) == WRITTEN


def test_what_was_asked_for_comes_first() -> None:
    for written in (None, WRITTEN):
        rule = _rule("declaring_networks:declaring", 32, LITE, written=written)

        assert rule.input_size == 32
        assert (rule.mean, rule.std) == (LITE.mean, LITE.std)
