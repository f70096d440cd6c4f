"""What each group of layers can spare."""

from __future__ import annotations

import msgspec


class LayerSensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """One group of coupled layers, and the loss that removing its filters adds."""

    #: The layer that the group is named after.
    layer: str
    #: Convolutions that lose the same filters with it.
    coupled: list[str] = []
    channels: int
    #: Multiply-accumulates of one image that the layers do that make the channels.
    macs: int
    #: Shares of the filters that were removed, ascending, and what each added to the loss
    #: (nats), everything else left whole and nothing tuned.
    ratios: list[float]
    loss_increase: list[float]


class Sensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """Sensitivity of every group of one network, on one set of images.

    The loss is the divergence (Kullback-Leibler, nats) of the cut network's answers from the
    whole one's, so no labels are needed, and the whole network's own loss is zero.
    """

    architecture: str
    input_size: int
    importance: str
    images: int
    #: Hash over everything that decides the result; where it differs there is none to take up.
    inputs_sha256: str | None = None
    layers: list[LayerSensitivity]
