"""Images in: from a file to pixels to a network's input."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from agent.errors import ImageError, NotAnImageError, TooManyPixelsError
from contract.manifest import Preprocessing
from contract.preprocess import crop_pixels, normalize

#: A picture of 64 megapixels is 200 MB as RGB; more would threaten a small box.
MAX_PIXELS = 64_000_000
#: What is read of strangers. Pillow knows forty more; one of them starts Ghostscript.
_SERVED_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
#: Scaled decoding leaves this many times what is needed: Pillow's own choice for thumbnails.
_SPARE = 2


def open_image(path: Path) -> Image.Image:
    """Decoded image of a file.

    Raises:
        ImageError: missing, not an image, truncated, or over `MAX_PIXELS`.
    """
    return _decoded(path, str(path), formats=None, shorter_side=None)


def decode_image(content: bytes, *, shorter_side: int | None = None) -> Image.Image:
    """Decoded image of a file's bytes, which may come from anybody.

    Args:
        content: the file.
        shorter_side: what the shorter side is going to be scaled to, if a JPEG may be decoded
            at a half, a quarter or an eighth of its size as long as twice that is left. Four
            times as fast for a camera's picture; pixels differ by what another filter would
            make of them. None decodes every pixel.

    Raises:
        NotAnImageError: none of the usual formats.
        TooManyPixelsError: over `MAX_PIXELS` by its header; nothing was decoded.
        ImageError: truncated or damaged.
    """
    return _decoded(
        io.BytesIO(content),
        "image",
        formats=_SERVED_FORMATS,
        shorter_side=shorter_side,
    )


def network_input(image: Image.Image, rule: Preprocessing) -> npt.NDArray[np.float32]:
    """Network input of an image: cropped, scaled and standardised, float32 [1, 3, S, S].

    Raises:
        TooManyPixelsError: so long and narrow that it would grow over `MAX_PIXELS`.
    """
    _check_scaled(image, rule)
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


def _decoded(
    source: Path | io.BytesIO,
    name: str,
    *,
    formats: tuple[str, ...] | None,
    shorter_side: int | None,
) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Our own limit below is stricter than Pillow's warning.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(source, formats=formats) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    message = (
                        f"{name}: {width} x {height} pixels: expected at most {MAX_PIXELS:,}; "
                        "scale it down first"
                    )
                    raise TooManyPixelsError(message)
                if shorter_side is not None:
                    least = _SPARE * shorter_side / max(1, min(width, height))
                    # Of formats that can: only of JPEG. Never below what is asked for.
                    image.draft(None, (int(width * least), int(height * least)))
                # Whole from here on, and independent of the file; a copy would only cost.
                image.load()
                return image
    except UnidentifiedImageError as error:
        message = f"{name}: not an image that Pillow can read; convert it to JPEG or PNG"
        raise NotAnImageError(message) from error
    except Image.DecompressionBombError as error:
        message = f"{name}: {error}; scale it down first"
        raise TooManyPixelsError(message) from error
    except (OSError, SyntaxError, ValueError) as error:
        detail = getattr(error, "strerror", None) or str(error)
        message = f"{name}: {detail}; the file is missing or damaged"
        raise ImageError(message) from error


def _check_scaled(image: Image.Image, rule: Preprocessing) -> None:
    """Refuse what grows when its shorter side does: a line of 100,000 pixels, say."""
    shorter, longer = sorted(image.size)
    scaled = rule.resize_size**2 * longer / max(1, shorter)
    if scaled > MAX_PIXELS:
        message = (
            f"image: {image.size[0]} x {image.size[1]} pixels are {scaled:,.0f} once the shorter "
            f"side has {rule.resize_size}: expected at most {MAX_PIXELS:,}; cut it first"
        )
        raise TooManyPixelsError(message)
