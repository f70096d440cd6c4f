"""The 1,797 handwritten digits that scikit-learn carries, as an ImageFolder of PNG files.

E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits, UCI, 1998 (the test part).
Every image is 8 x 8 pixels with 17 grey levels.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

VALIDATION_SHARE = 0.2
_GREY_LEVELS = 16


def write_digits(folder: Path) -> None:
    """Write `train/<digit>/` (1,437 images) and `val/<digit>/` (360) below `folder`.

    The split is stratified by class with a fixed seed; no validation image is trained on.
    A complete tree is left as it is; one that an interrupted run left is made anew.
    """
    finished = folder / "complete"
    if finished.exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    digits = load_digits()
    train, val = train_test_split(
        np.arange(len(digits.target)),
        test_size=VALIDATION_SHARE,
        stratify=digits.target,
        random_state=0,
    )
    for split, indices in (("train", train), ("val", val)):
        for index in indices:
            place = folder / split / str(digits.target[index])
            place.mkdir(parents=True, exist_ok=True)
            grey = (digits.images[index] * 255 / _GREY_LEVELS).round().astype(np.uint8)
            Image.fromarray(grey).save(place / f"{index:04}.png")
    finished.touch()
