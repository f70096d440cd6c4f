"""Images that every network learns at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIZE = 16


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two colours, eight images each to train on and three to evaluate with, 16 px."""
    root = tmp_path_factory.mktemp("two-colours")
    noise = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 3)):
        for channel, label in enumerate(("red", "green")):
            for number in range(count):
                pixels = noise.integers(0, 90, (SIZE, SIZE, 3), dtype=np.uint8)
                pixels[..., channel] += 120
                path = root / split / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path)
    return root
