"""Image files as pixels, by the one rule that builder and agent share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from contract.manifest import Preprocessing
from contract.preprocess import crop_pixels, normalize

Pixels = npt.NDArray[np.uint8]

_LARGEST_BATCH = 32
#: Four ImageNet images: VGG's first layers turn each into 13 MB, several times over.
_BATCH_PIXELS = 4 * 224 * 224


def check_image(path: Path) -> str | None:
    """Why the image at `path` cannot be used; None where it can."""
    try:
        _decode(path)
    except Exception as error:  # noqa: BLE001 - Pillow's many decoders raise anything for damaged files
        return " ".join(str(error).split()) or type(error).__name__
    return None


def batch_size(input_size: int) -> int:
    """How many images of `input_size` pixels to run at once, within moderate memory."""
    return min(_LARGEST_BATCH, max(1, _BATCH_PIXELS // input_size**2))


def read_pixels(paths: Sequence[Path], rule: Preprocessing) -> Pixels:
    """Cropped pixels of images: uint8 [N, input_size, input_size, 3].

    Raises:
        OSError: a file has gone or changed since it was checked.
    """
    return np.stack([np.asarray(crop_pixels(_decode(path), rule)) for path in paths])


def to_input(pixels: Pixels, rule: Preprocessing) -> Tensor:
    """Network input float32 [N, 3, H, W] of cropped pixels uint8 [N, H, W, 3]."""
    channels_first = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
    mean = torch.tensor(rule.mean).reshape(3, 1, 1)
    std = torch.tensor(rule.std).reshape(3, 1, 1)
    return normalize(channels_first.float(), mean, std)


def _decode(path: Path) -> Image.Image:
    with warnings.catch_warnings():
        # Large photographs are fine; Pillow refuses outright only twice beyond this warning.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(path) as image:
            image.load()
            return image.copy()
