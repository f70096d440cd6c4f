"""The file `evalset.npz`: images and right outputs as plain arrays."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from builder.evalset.drawing import Drawn
from contract.evalset import (
    EVALSET_FILES,
    EVALSET_OFFSETS,
    EVALSET_POSITIONS,
    answers_name,
)

Numbers = npt.NDArray[np.int64]

_ANSWERS = answers_name("")


def pack(drawn: Drawn, answers: Mapping[str, Numbers]) -> bytes:
    """Content of the file; the same images and answers give the same bytes.

    Args:
        drawn: the images.
        answers: by architecture, int64 [N, widest].
    """
    named = {answers_name(name): np.ascontiguousarray(answers[name]) for name in sorted(answers)}
    content = io.BytesIO()
    # Not compressed: images are already, and so the file's size bounds what it unpacks to.
    np.savez(content, allow_pickle=False, **_images(drawn), **named)
    return content.getvalue()


def architectures_in(path: Path) -> frozenset[str]:
    """Architectures that the file at `path` has answers for; none where it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return frozenset()
    arrays = [name.removesuffix(".npy") for name in names]
    return frozenset(name.removeprefix(_ANSWERS) for name in arrays if name.startswith(_ANSWERS))


def answers_for(path: Path, drawn: Drawn) -> dict[str, Numbers]:
    """Answers by architecture of the file at `path`; none where it holds other images."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            is_same = all(
                np.array_equal(archive[name], array) for name, array in _images(drawn).items()
            )
            named = {name: archive[name] for name in archive.files if name.startswith(_ANSWERS)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
    if not is_same:
        return {}
    return {name.removeprefix(_ANSWERS): array for name, array in named.items()}


def _images(drawn: Drawn) -> dict[str, npt.NDArray[np.uint8] | Numbers]:
    return {
        EVALSET_FILES: np.frombuffer(b"".join(drawn.files), dtype=np.uint8),
        EVALSET_OFFSETS: np.cumsum([0, *map(len, drawn.files)], dtype=np.int64),
        EVALSET_POSITIONS: np.array(drawn.positions, dtype=np.int64),
    }
