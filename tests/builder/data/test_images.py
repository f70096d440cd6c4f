"""Image files as the network sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from builder.data.images import batch_size, check_image, read_pixels, to_input
from builder.networks import vision
from builder.networks.architectures import resolve
from contract.manifest import Preprocessing


def test_pixels_are_cropped_by_the_shared_rule(tmp_path: Path, rule: Preprocessing) -> None:
    pixels = np.arange(20 * 16 * 3, dtype=np.uint8).reshape(20, 16, 3)
    Image.fromarray(pixels).save(tmp_path / "tall.png")

    read = read_pixels([tmp_path / "tall.png"], rule)

    assert read.shape == (1, 16, 16, 3)
    assert (read[0] == pixels[2:18]).all()


def test_input_is_standardised_per_channel(rule: Preprocessing) -> None:
    pixels = np.zeros((2, 16, 16, 3), dtype=np.uint8)
    pixels[1] = 255

    inputs = to_input(pixels, rule)

    assert inputs.dtype == torch.float32
    assert inputs.shape == (2, 3, 16, 16)
    assert inputs[0].unique().tolist() == [-2.0]
    assert inputs[1].unique().tolist() == [2.0]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_image_becomes_three_channels(
    tmp_path: Path, rule: Preprocessing, mode: str
) -> None:
    suffix = "tif" if mode == "CMYK" else "png"
    path = tmp_path / f"image.{suffix}"
    Image.new(mode, (16, 16)).save(path)

    assert check_image(path) is None
    assert read_pixels([path], rule).shape == (1, 16, 16, 3)


@given(cut=st.integers(min_value=0, max_value=200), flipped=st.integers(min_value=0, max_value=255))
def test_a_damaged_image_is_described_and_never_raises(
    tmp_path_factory: pytest.TempPathFactory, cut: int, flipped: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    Image.effect_noise((16, 16), 50).save(path)
    content = bytearray(path.read_bytes()[: cut + 1])
    content[cut // 2] ^= flipped
    path.write_bytes(content)

    assert check_image(path)


@pytest.mark.parametrize(("size", "images"), [(32, 32), (64, 32), (224, 4), (448, 1), (2000, 1)])
def test_large_images_run_fewer_at_once(size: int, images: int) -> None:
    assert batch_size(size) == images


def test_inception_with_published_weights_restandardises_its_input() -> None:
    network = resolve("inception_v3", search_path=Path()).create(10)
    before = network.transform_input

    vision.expect_published_input(network)

    assert (before, network.transform_input) == (False, True)
