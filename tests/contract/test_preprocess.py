"""Builder and agent see the pixels that torchvision's own transforms would give."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from contract.manifest import Interpolation, Preprocessing
from contract.preprocess import crop_pixels, normalize

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def rule(input_size: int, resize_size: int, filter_: str = "bilinear") -> Preprocessing:
    return Preprocessing(
        input_size=input_size,
        resize_size=resize_size,
        interpolation=Interpolation(filter_),
        mean=MEAN,
        std=STD,
    )


def picture(width: int, height: int) -> Image.Image:
    noise = np.random.default_rng(width * 1000 + height)
    return Image.fromarray(noise.integers(0, 256, (height, width, 3), dtype=np.uint8))


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(1, 400),
    height=st.integers(1, 400),
    crop=st.integers(8, 96),
    border=st.integers(0, 20),
    filter_=st.sampled_from(["bilinear", "bicubic"]),
)
def test_pixels_equal_those_of_torchvision(
    width: int, height: int, crop: int, border: int, filter_: str
) -> None:
    # torch loads only when this test runs, and torchvision only after the builder helped it.
    importlib.import_module("builder.networks.vision")
    transforms = importlib.import_module("torchvision.transforms")
    ours = crop_pixels(picture(width, height), rule(crop, crop + border, filter_))
    reference = transforms.Compose(
        [
            transforms.Resize(crop + border, transforms.InterpolationMode(filter_)),
            transforms.CenterCrop(crop),
        ]
    )(picture(width, height))
    assert np.array_equal(np.asarray(ours), np.asarray(reference))


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_image_mode_becomes_rgb_of_the_input_size(mode: str) -> None:
    image = Image.new(mode, (50, 30))
    cropped = crop_pixels(image, rule(24, 32))
    assert (cropped.mode, cropped.size) == ("RGB", (24, 24))


def test_normalizing_standardises_each_channel() -> None:
    pixels = np.full((3, 2, 2), 255.0, dtype=np.float32)
    mean = np.array(MEAN, dtype=np.float32).reshape(3, 1, 1)
    std = np.array(STD, dtype=np.float32).reshape(3, 1, 1)
    expected = [(1 - m) / s for m, s in zip(MEAN, STD, strict=True)]
    assert np.allclose(normalize(pixels, mean, std)[:, 0, 0], expected)
