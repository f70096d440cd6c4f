"""How images become input, for the weights at hand."""

from __future__ import annotations

import msgspec

from builder.networks.vision import PublishedWeights
from contract.manifest import Preprocessing

_DEFAULT_SIZE = 224
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def input_rule(
    published: PublishedWeights | None,
    input_size: int | None,
    *,
    has_published_weights: bool,
) -> Preprocessing:
    """Rule for a network at `input_size` pixels, or at its own size where None.

    Published weights keep the rule that they were published with (for most: shorter side to
    256, the central 224), in proportion at other sizes. A network trained at a given size
    takes the image's shorter side as a whole.

    Args:
        published: weights that torchvision publishes for this architecture, if any.
        input_size: side of the input in pixels.
        has_published_weights: whether the network carries them.
    """
    if published is None or (input_size is not None and not has_published_weights):
        size = input_size or _DEFAULT_SIZE
        return Preprocessing(
            input_size=size, resize_size=size, mean=_IMAGENET_MEAN, std=_IMAGENET_STD
        )
    rule = Preprocessing(
        input_size=published.input_size,
        resize_size=published.resize_size,
        interpolation=published.interpolation,
        mean=published.mean,
        std=published.std,
    )
    return rule if input_size is None else resized(rule, input_size)


def resized(rule: Preprocessing, input_size: int) -> Preprocessing:
    """Return the same rule for another input size, cutting away as much at the edges."""
    resize_size = round(rule.resize_size * input_size / rule.input_size)
    return msgspec.structs.replace(
        rule, input_size=input_size, resize_size=max(input_size, resize_size)
    )
