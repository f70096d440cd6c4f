"""Accuracy on the workstation and answers on the box are of the same pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.images import decode_image, network_input, open_image
from builder.data.images import read_pixels, to_input
from contract.manifest import Interpolation, Preprocessing

#: Sizes that round in every way: upright, lying, odd, smaller than the crop, a single line.
SIZES = [(97, 131), (131, 97), (64, 64), (33, 250), (20, 31), (300, 1)]
KINDS = [
    ("RGB", "jpg"),
    ("L", "jpg"),
    ("CMYK", "jpg"),
    ("RGB", "png"),
    ("RGBA", "png"),
    ("P", "png"),
    ("I;16", "png"),
    ("1", "bmp"),
    ("RGB", "webp"),
]


def picture(path: Path, mode: str, size: tuple[int, int]) -> Path:
    """An image file of noise, turned by its EXIF tag where the format has one."""
    rng = np.random.default_rng(size)
    noise = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    if mode == "I;16":
        image = Image.fromarray(rng.integers(0, 65536, (size[1], size[0]), dtype=np.uint16))
    elif mode != "RGB":
        image = image.convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6
    more = {"exif": exif} if path.suffix in {".jpg", ".webp"} else {}
    image.save(path, **more)
    return path


@pytest.mark.parametrize("interpolation", list(Interpolation))
@pytest.mark.parametrize(("mode", "suffix"), KINDS)
def test_builder_and_agent_feed_a_network_the_same_numbers(
    tmp_path: Path, mode: str, suffix: str, interpolation: Interpolation
) -> None:
    """To the last bit, for every kind of file, size and filter; from a file or from its bytes."""
    for size in SIZES:
        path = picture(tmp_path / f"{size[0]}x{size[1]}.{suffix}", mode, size)
        rule = Preprocessing(
            input_size=48,
            resize_size=55,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            interpolation=interpolation,
        )
        built = to_input(read_pixels([path], rule), rule).numpy()
        np.testing.assert_array_equal(network_input(open_image(path), rule), built)
        np.testing.assert_array_equal(network_input(decode_image(path.read_bytes()), rule), built)
