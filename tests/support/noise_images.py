"""Random images and the folder of the tests' networks."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

NETWORKS = Path(__file__).parents[1] / "builder" / "own"


def noise(count: int, *, size: int = 16) -> Tensor:
    """The same `count` images of noise, float32 [N, 3, size, size], at every call."""
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))
