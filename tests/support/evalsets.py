"""Evaluation sets of plain colours, whose answers are known."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from contract.evalset import (
    EVALSET_FILES,
    EVALSET_NAME,
    EVALSET_OFFSETS,
    EVALSET_POSITIONS,
    Evalset,
    answers_name,
)
from contract.files import sha256_of

#: Channel that is bright, which is what `Brightest` answers.
RED, GREEN, BLUE = 0, 1, 2


def coloured(channel: int, *, size: tuple[int, int] = (20, 16)) -> bytes:
    """Bytes of a PNG in one colour."""
    pixels = np.full((size[1], size[0], 3), 30, np.uint8)
    pixels[..., channel] = 200
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG")
    return content.getvalue()


def evalset_arrays(
    files: Sequence[bytes],
    answers: Mapping[str, Sequence[Sequence[int]]],
    positions: Sequence[int] | None = None,
) -> dict[str, Any]:
    """Arrays of an evaluation set, by name."""
    places = range(len(files)) if positions is None else positions
    return {
        EVALSET_FILES: np.frombuffer(b"".join(files), np.uint8),
        EVALSET_OFFSETS: np.cumsum([0, *map(len, files)], dtype=np.int64),
        EVALSET_POSITIONS: np.array(places, np.int64),
    } | {answers_name(name): np.array(rows, np.int64) for name, rows in answers.items()}


def write_evalset(folder: Path, arrays: Mapping[str, Any], *, drawn_from: int) -> Evalset:
    """Write the file and return what `set.json` is to say of it."""
    path = folder / EVALSET_NAME
    np.savez(path, **arrays)
    images = len(arrays[EVALSET_POSITIONS])
    return Evalset(
        bytes=path.stat().st_size,
        sha256=sha256_of(path),
        images=images,
        wanted=images,
        dataset="noise",
        drawn_from=drawn_from,
    )
