"""Other views of the same images, drawn at random."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from builder.data.images import Pixels

#: Random shifts by up to this share of the input, which no class minds.
_SHIFT_SHARE = 1 / 16


def shifted(pixels: Pixels, noise: np.random.Generator) -> Pixels:
    """Images uint8 [N, H, W, 3], each moved by a random distance; edges are repeated."""
    margin = max(1, round(pixels.shape[1] * _SHIFT_SHARE))
    size = pixels.shape[1]
    padded = np.pad(pixels, ((0, 0), (margin, margin), (margin, margin), (0, 0)), mode="edge")
    corners = noise.integers(0, 2 * margin + 1, (len(pixels), 2))
    return np.stack(
        [
            image[top : top + size, left : left + size]
            for image, (top, left) in zip(padded, corners, strict=True)
        ]
    )


def mirrored(pixels: Pixels, noise: np.random.Generator) -> Pixels:
    """Images uint8 [N, H, W, 3], every second one left to right, drawn at random."""
    chosen = noise.random(len(pixels)) < 0.5  # noqa: PLR2004 - even odds
    views = pixels.copy()
    views[chosen] = pixels[chosen, :, ::-1]
    return views


def mixed(inputs: Tensor, strength: float, noise: np.random.Generator) -> Tensor:
    """Inputs float32 [N, 3, H, W], each overlaid with another of the batch."""
    shares = noise.beta(strength, strength, len(inputs)).astype(np.float32)
    share = torch.from_numpy(shares).reshape(-1, 1, 1, 1)
    return share * inputs + (1.0 - share) * inputs.flip(0)
