"""Which validation images a device gets, and in which order."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from builder.data.dataset import Dataset

_log = logging.getLogger(__name__)

MAX_DRAWN_BYTES = 32_000_000
#: 96 MB decoded, and as much again while it is converted: what a board with 1 GB still has.
MAX_PIXELS = 32_000_000


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """Images that were drawn."""

    #: Files as they were found.
    files: tuple[bytes, ...]
    #: Place of each in `Dataset.val`.
    positions: tuple[int, ...]


def draw(
    dataset: Dataset,
    wanted: int,
    *,
    max_bytes: int = MAX_DRAWN_BYTES,
    max_pixels: int = MAX_PIXELS,
) -> Drawn:
    """Images of `val/` in an order of which every beginning is balanced over the classes.

    The same data give the same images, wherever they lie. Images that a small device could not
    decode are passed over, and it ends early where the next one does not fit.

    Args:
        dataset: checked images, with or without labels.
        wanted: how many to draw.
        max_bytes: size of all files together.
        max_pixels: of one image.

    Raises:
        OSError: a file has gone since it was checked.
    """
    files: list[bytes] = []
    positions: list[int] = []
    left_bytes = max_bytes
    for position in balanced_order(dataset):
        if len(files) == wanted:
            break
        path = dataset.val[position].path
        if path.stat().st_size > max_bytes or _pixels(path) > max_pixels:
            continue
        content = path.read_bytes()
        if len(content) > left_bytes:
            break
        left_bytes -= len(content)
        files.append(content)
        positions.append(position)
    if len(files) < min(wanted, len(dataset.val)):
        _log.warning(
            "the evaluation set has %d images instead of %d: of at most %d megapixels each, no "
            "more fit into %d MB",
            len(files), wanted, max_pixels // 10**6, max_bytes // 10**6,
        )  # fmt: skip
    return Drawn(files=tuple(files), positions=tuple(positions))


def balanced_order(dataset: Dataset) -> list[int]:
    """Places in `Dataset.val`: one image of every class, then a second one, and so on.

    Within a class, and among the classes of a round, hashes of the paths decide: chance, but the
    same everywhere. A class that has no more images is left out.
    """
    classes: dict[int | None, list[tuple[bytes, int]]] = defaultdict(list)
    for place, sample in enumerate(dataset.val):
        name = sample.path.relative_to(dataset.root).as_posix()
        classes[sample.folder].append((hashlib.sha256(name.encode()).digest(), place))
    ranked = [
        (rank, digest, place)
        for images in classes.values()
        for rank, (digest, place) in enumerate(sorted(images))
    ]
    return [place for _, _, place in sorted(ranked)]


def _pixels(path: Path) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(path) as image:
            return image.width * image.height
