"""What was found out layer by layer, as its files in the workspace hold it.

Who measures it needs torch; who reads it does not, so the report has its own view of the files.
"""

from __future__ import annotations

import msgspec


class GroupSensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """What removing filters of one group of coupled convolutions does."""

    layer: str
    coupled: list[str] = []
    channels: int
    macs: int
    #: Shares of the filters removed, and the loss each adds, in nats.
    ratios: list[float]
    loss_increase: list[float]


class NetworkSensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """Sensitivity of every group of one network."""

    architecture: str
    input_size: int
    importance: str
    images: int
    layers: list[GroupSensitivity]


class LayerDamage(msgspec.Struct, frozen=True, kw_only=True):
    """What quantizing one layer alone does to the network's answers."""

    layer: str
    #: Divergence of the answers from those in floats.
    kl_nats: float


class NetworkDamage(msgspec.Struct, frozen=True, kw_only=True):
    """Damage of every layer of one network."""

    network: str
    layers: list[LayerDamage]


class Studies(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found out about the networks of a set."""

    sensitivities: list[NetworkSensitivity] = []
    damages: list[NetworkDamage] = []
