"""Images in: from a file to pixels to a network's input."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from agent.errors import ImageError
from contract.manifest import Preprocessing
from contract.preprocess import crop_pixels, normalize

#: A picture of 64 megapixels is 200 MB as RGB; more would threaten a small box.
MAX_PIXELS = 64_000_000


def open_image(path: Path) -> Image.Image:
    """Decoded image of a file.

    Raises:
        ImageError: missing, not an image, truncated, or over `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            # Our own limit below is stricter than Pillow's warning.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    message = (
                        f"{path}: {width} x {height} pixels: expected at most {MAX_PIXELS:,}; "
                        "scale it down first"
                    )
                    raise ImageError(message)
                image.load()
                return image.copy()
    except UnidentifiedImageError as error:
        message = f"{path}: not an image that Pillow can read; convert it to JPEG or PNG"
        raise ImageError(message) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        detail = getattr(error, "strerror", None) or str(error)
        message = f"{path}: {detail}; the file is missing or damaged"
        raise ImageError(message) from error


def network_input(image: Image.Image, rule: Preprocessing) -> npt.NDArray[np.float32]:
    """Network input of an image: cropped, scaled and standardised, float32 [1, 3, S, S]."""
    pixels = np.asarray(crop_pixels(image, rule), dtype=np.uint8)
    return standardize(pixels[np.newaxis], rule)


def standardize(
    images: npt.NDArray[np.uint8],
    rule: Preprocessing,
) -> npt.NDArray[np.float32]:
    """Network input of cropped images, uint8 [N, S, S, 3] to float32 [N, 3, S, S]."""
    pixels = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).astype(np.float32)
    mean = np.array(rule.mean, dtype=np.float32).reshape(3, 1, 1)
    std = np.array(rule.std, dtype=np.float32).reshape(3, 1, 1)
    return normalize(pixels, mean, std)
