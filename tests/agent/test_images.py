"""From a file to a network's input."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from agent.errors import ImageError, TooManyPixelsError
from agent.images import decode_image, network_input, open_image
from contract.manifest import Preprocessing

RULE = Preprocessing(input_size=8, resize_size=8, mean=(0.5, 0.0, 0.25), std=(0.5, 1.0, 0.25))


def test_pixels_are_scaled_and_standardised_per_channel() -> None:
    """255, 0 and 51 become what mean and deviation of their channels make of them."""
    picture = Image.new("RGB", (20, 12), (255, 0, 51))
    inputs = network_input(picture, RULE)
    assert inputs.shape == (1, 3, 8, 8)
    assert inputs.dtype == np.float32
    np.testing.assert_allclose(inputs[0, :, 0, 0], [1.0, 0.0, -0.2], atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "CMYK", "1"])
def test_any_colour_mode_becomes_three_channels(tmp_path: Path, mode: str) -> None:
    """Grey, transparent, palette and print images are classified like others."""
    path = tmp_path / "picture.tiff"
    Image.new(mode, (10, 10)).save(path)
    assert network_input(open_image(path), RULE).shape == (1, 3, 8, 8)


def test_images_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """Missing, truncated, no image at all, and far too large: each error names the file."""
    whole = tmp_path / "whole.png"
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(whole)
    truncated = tmp_path / "truncated.png"
    truncated.write_bytes(whole.read_bytes()[:2000])
    text = tmp_path / "text.jpg"
    text.write_text("no image")
    bomb = tmp_path / "bomb.png"
    Image.new("1", (20_000, 20_000)).save(bomb)
    for path in (tmp_path / "missing.png", truncated, text, bomb, tmp_path):
        with pytest.raises(ImageError) as caught:
            open_image(path)
        assert str(path) in str(caught.value)


def test_an_image_that_scaling_would_blow_up_is_refused() -> None:
    """One row of pixels, whose height becomes the network's and its length a million."""
    rule = Preprocessing(input_size=16, resize_size=16, mean=(0.5,) * 3, std=(0.25,) * 3)
    with pytest.raises(TooManyPixelsError, match="cut it first"):
        network_input(Image.new("L", (400_000, 1)), rule)


def test_scaled_decoding_leaves_twice_what_is_needed_and_hardly_other_pixels() -> None:
    """A smooth picture: a quarter of 800 x 600 is 150, and half is the least above 2 x 100."""
    wave = np.sin(np.add.outer(np.arange(600), np.arange(800)) / 40.0) * 100 + 128
    file = io.BytesIO()
    Image.fromarray(wave.astype(np.uint8)).save(file, format="JPEG", quality=95)
    exact, scaled = (decode_image(file.getvalue(), shorter_side=side) for side in (None, 100))
    assert (exact.size, scaled.size) == ((800, 600), (400, 300))
    small, same = (np.asarray(one.resize((133, 100)), dtype=float) for one in (scaled, exact))
    assert np.abs(small - same).mean() < 1.0
