"""Images for the benchmark where none are given, and few of them where few are enough."""

from __future__ import annotations

import shutil
from pathlib import Path

from builder.data.dataset import Dataset, open_dataset
from scripts.lib.digits import write_digits

_DIGITS_SIZE, _USUAL_SIZE = 32, 224


def usual_size(data: Path | None) -> int:
    """Side of the input in pixels for images in `data`, or for the digits where that is None."""
    return _DIGITS_SIZE if data is None else _USUAL_SIZE


def digits(folder: Path) -> Path:
    """Folder with the 1,797 digits that scikit-learn carries; 360 of them are `val/`."""
    write_digits(folder)
    return folder


def first_of_each_class(root: Path, target: Path, count: int) -> Path:
    """Copy the first `count` images of each class of both parts, so that builds are short.

    A flat folder without labels gives as many images as ten classes would.
    """
    dataset = open_dataset(root)
    shutil.rmtree(target, ignore_errors=True)
    for path in _first(dataset, count):
        copy = target / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    return target


def _first(dataset: Dataset, count: int) -> list[Path]:
    if not dataset.labelled:
        return [sample.path for sample in dataset.val[: 10 * count]]
    chosen: list[Path] = []
    for part in (dataset.train, dataset.val):
        for folder in range(len(dataset.folders)):
            chosen += [sample.path for sample in part if sample.folder == folder][:count]
    return chosen
