"""Pictures with the statistics of photographs, so that JPEG weighs and decodes as theirs does."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

_QUALITY = 90
_CALIBRATION_IMAGES = 16
#: Exponent that gives about the bytes a pixel which cameras' files have at this quality.
_EXPONENT = 1.35


def photograph(width: int, height: int, seed: int) -> bytes:
    """JPEG file of noise whose amplitude falls with frequency, as in natural images.

    Field, "Relations between the statistics of natural images and the response properties of
    cortical cells", 1987.
    """
    noise = np.random.default_rng(seed)
    frequencies = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    frequencies[0, 0] = 1.0
    falloff = frequencies**-_EXPONENT
    falloff[0, 0] = 0.0

    def layer() -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        spectrum = np.fft.rfft2(noise.standard_normal((height, width)))
        field = np.fft.irfft2(spectrum * falloff, s=(height, width))
        return np.asarray(field / field.std())

    # Colours of a photograph mostly go together.
    shared = layer()
    channels = [128.0 + 40.0 * shared + 12.0 * layer() for _ in range(3)]
    pixels = np.clip(np.stack(channels, axis=-1), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="JPEG", quality=_QUALITY)
    return file.getvalue()


def calibration_images(folder: Path, seed: int) -> Path:
    """Flat folder of a few photographs to calibrate with; kept where it is there already."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(_CALIBRATION_IMAGES):
        path = folder / f"{number:02}.jpg"
        if not path.exists():
            path.write_bytes(photograph(320, 256, seed + 1 + number))
    return folder
