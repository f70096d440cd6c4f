"""What quantizing each layer costs."""

from __future__ import annotations

import msgspec


class LayerDamage(msgspec.Struct, frozen=True, kw_only=True):
    """How far one layer alone, quantized, moves the network's answers."""

    layer: str
    #: For one image.
    macs: int
    #: Kullback-Leibler divergence of the softmax outputs from those in floats, mean of images.
    kl_nats: float


class NetworkDamage(msgspec.Struct, frozen=True, kw_only=True):
    """Damage by every layer of one network that was to be quantized, in the network's order."""

    #: The variant that it was to become.
    network: str
    layers: list[LayerDamage]
