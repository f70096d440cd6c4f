"""Golden vectors, read and compared."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from agent.errors import GoldenError
from agent.golden import compare, read_golden
from contract.bundle import GOLDEN_NAME, read_manifest


def bundle_with(path: Path, source: Path, content: bytes) -> Path:
    """A copy of a bundle whose golden vectors are replaced."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            is_golden = info.filename.endswith(GOLDEN_NAME)
            new.writestr(info.filename, content if is_golden else old.read(info))
    return path


def npz(**arrays: np.ndarray) -> bytes:
    """Arrays as the bytes of an npz file."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


IMAGES = np.zeros((2, 16, 16, 3), np.uint8)
LOGITS = np.zeros((2, 4), np.float32)


@pytest.mark.parametrize(
    "content",
    [
        b"not a zip",
        npz(images=IMAGES),
        npz(images=IMAGES.astype(np.float32), logits=LOGITS),
        npz(images=IMAGES[:, :8], logits=LOGITS),
        npz(images=IMAGES[:0], logits=LOGITS[:0]),
        npz(images=IMAGES, logits=LOGITS[:, :3]),
        npz(images=IMAGES, logits=np.full((2, 4), np.nan, np.float32)),
        npz(images=IMAGES, logits=np.full((2, 4), 1e300)),
        npz(images=IMAGES, logits=np.full((2, 4), "text")),
        npz(images=np.array([{"a": "pickled object"}]), logits=LOGITS),
    ],
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_unusable_golden_vectors_are_refused(
    good_set: Path, tmp_path: Path, content: bytes
) -> None:
    """Nothing but arrays of the shapes that the manifest implies is taken."""
    source = good_set / "tiny-base.pt"
    path = bundle_with(tmp_path / "tiny.pt", source, content)
    with pytest.raises(GoldenError, match="build the bundle again"):
        read_golden(path, read_manifest(source))


def test_error_is_a_share_of_the_range_of_the_golden_logits() -> None:
    """Half a unit off in a range of ten is five per cent."""
    expected = np.array([[0.0, 10.0]], np.float32)
    verdict = compare(expected, expected + np.float32(0.5), tolerance=0.04)
    assert verdict.max_error == pytest.approx(0.05)
    assert not verdict.ok
    assert compare(expected, expected + np.float32(0.5), tolerance=0.06).ok


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_golden_logits_over_the_whole_range_of_floats_still_tell_wrong_ones() -> None:
    expected = np.array([[-3e38, 3e38]], np.float32)
    assert compare(expected, expected, tolerance=0.01).ok
    assert not compare(expected, -expected, tolerance=0.5).ok


@pytest.mark.parametrize("got", [np.array([[np.nan, 1.0]]), np.array([[1.0, 2.0, 3.0]])])
def test_logits_that_are_no_numbers_or_of_another_shape_are_wrong(got: np.ndarray) -> None:
    """They must not slip through a comparison that NaN makes false."""
    assert not compare(np.array([[0.0, 1.0]], np.float32), got, tolerance=1e9).ok
