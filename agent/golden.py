"""Golden vectors: the inputs and logits by which a device proves its numerics."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agent.errors import GoldenError
from contract.benchmark import Golden
from contract.bundle import GOLDEN_IMAGES, GOLDEN_LOGITS, GOLDEN_NAME, read_extra
from contract.manifest import Manifest

_IMAGE_DIMENSIONS = 4
_CHANNELS = 3
#: Kinds of arrays that hold real numbers.
_NUMERIC = "fiu"


@dataclass(frozen=True, kw_only=True)
class GoldenVectors:
    """Inputs after the crop, `images: uint8 [N, S, S, 3]`, and `logits: float32 [N, classes]`."""

    images: npt.NDArray[np.uint8]
    logits: npt.NDArray[np.float32]


def read_golden(path: Path, manifest: Manifest) -> GoldenVectors:
    """Golden vectors of the bundle at `path`.

    Raises:
        BundleDamagedError: the bundle has none, or is not readable.
        GoldenError: they are not arrays of the shapes that the manifest implies.
    """
    content = read_extra(path, GOLDEN_NAME)
    try:
        # Pickled objects could run code: only plain arrays are read.
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            images, logits = archive[GOLDEN_IMAGES], archive[GOLDEN_LOGITS]
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        message = f"{path}: {GOLDEN_NAME}: {error}; build the bundle again"
        raise GoldenError(message) from error
    size = manifest.preprocessing.input_size
    expected = (size, size, _CHANNELS)
    if (
        images.dtype != np.uint8
        or images.ndim != _IMAGE_DIMENSIONS
        or images.shape[1:] != expected
        or len(images) == 0
    ):
        message = (
            f"{path}: {GOLDEN_NAME}: images: expected uint8 [N, {size}, {size}, 3] with N >= 1, "
            f"got {images.dtype} {list(images.shape)}; build the bundle again"
        )
        raise GoldenError(message)
    is_fit = logits.shape == (len(images), manifest.classes) and logits.dtype.kind in _NUMERIC
    if is_fit:
        # What is beyond a float is infinite there.
        with np.errstate(over="ignore"):
            logits = logits.astype(np.float32)
    if not is_fit or not np.isfinite(logits).all():
        message = (
            f"{path}: {GOLDEN_NAME}: logits: expected finite [{len(images)}, {manifest.classes}], "
            f"got {logits.dtype} {list(logits.shape)}; build the bundle again"
        )
        raise GoldenError(message)
    return GoldenVectors(images=images, logits=logits)


def compare(
    expected: npt.NDArray[np.float32],
    got: npt.NDArray[np.float32],
    *,
    tolerance: float,
) -> Golden:
    """Verdict on logits against golden logits: largest error as a share of their range.

    Logits that are not numbers, or have another shape, are as wrong as can be: error 1.0
    of the range or what was found, whichever is larger.
    """
    if got.shape != expected.shape or not np.isfinite(got).all():
        return Golden(ok=False, max_error=1.0, tolerance=tolerance)
    # A float's own range can be twice as wide as a float tells.
    span = float(expected.max()) - float(expected.min())
    difference = float(np.abs(got.astype(np.float64) - expected).max())
    # Constant golden logits have no range; then any difference counts as it stands.
    error = difference / span if span > 0.0 else difference
    return Golden(ok=error <= tolerance, max_error=error, tolerance=tolerance)
