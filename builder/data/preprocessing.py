"""How images become input, for the weights at hand."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from torch import nn

from builder.data.declared_input import declared_input
from builder.data.standardization import IMAGENET, Standardization
from builder.errors import InputRuleError
from builder.networks.weights import Weights
from contract.manifest import Preprocessing

_DEFAULT_SIZE = 224


@dataclass(frozen=True, kw_only=True)
class AskedInput:
    """What was asked of the input; None leaves it to the weights and the network."""

    #: Side in pixels.
    size: int | None = None
    standardization: Standardization | None = None


def input_rule(weights: Weights, network: nn.Module, asked: AskedInput) -> Preprocessing:
    """Rule by which images become input of `network`, which takes these weights.

    What was asked for comes first, then what training wrote into the weights file, then what
    the network says of itself, then ImageNet's mean and deviation at 224 px. Each rule is kept in
    proportion at other sizes.

    Published weights keep the rule that they were published with (for most: shorter side to
    256, the central 224). So do other weights of a published network at its own size; trained
    at a given size, it takes the image's shorter side as a whole.

    Raises:
        InputRuleError: another mean or deviation was asked for than published weights want.
        ArchitectureError: what the network says of itself makes no sense.
    """
    rule = _rule_of_its_own(weights, network, asked.size)
    if asked.size is not None and asked.size != rule.input_size:
        rule = resized(rule, asked.size)
    if asked.standardization is None:
        return rule
    standardized = msgspec.structs.replace(
        rule, mean=asked.standardization.mean, std=asked.standardization.std
    )
    if weights.published is not None and standardized != rule:
        own = Standardization(mean=rule.mean, std=rule.std)
        message = (
            f"--mean, --std: {weights.architecture.name} has torchvision's published weights, "
            f"which were trained on inputs of {own.words}; leave both out, or give this network a "
            "command of its own"
        )
        raise InputRuleError(message)
    return standardized


def resized(rule: Preprocessing, input_size: int) -> Preprocessing:
    """Return the same rule for another input size, cutting away as much at the edges."""
    resize_size = round(rule.resize_size * input_size / rule.input_size)
    return msgspec.structs.replace(
        rule, input_size=input_size, resize_size=max(input_size, resize_size)
    )


def _rule_of_its_own(weights: Weights, network: nn.Module, size: int | None) -> Preprocessing:
    architecture = weights.architecture
    if weights.published is None:
        known = weights.input_rule or declared_input(network, architecture.name)
        if known is not None:
            return known
    published = architecture.published
    if published is None or (size is not None and weights.published is None):
        side = size or _DEFAULT_SIZE
        return Preprocessing(
            input_size=side, resize_size=side, mean=IMAGENET.mean, std=IMAGENET.std
        )
    return Preprocessing(
        input_size=published.input_size,
        resize_size=published.resize_size,
        interpolation=published.interpolation,
        mean=published.mean,
        std=published.std,
    )
