"""A network that proved its numerics on this box, with its papers."""

from __future__ import annotations

from dataclasses import dataclass

from agent.golden import GoldenVectors
from agent.network import Network
from contract.manifest import Manifest


@dataclass(frozen=True)
class Subject:
    """What a worker measures, or answers with."""

    manifest: Manifest
    labels: list[str]
    vectors: GoldenVectors
    network: Network
