"""Folders of images: `train/` and `val/` with one folder per class, or one flat folder."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builder.data.images import check_image
from builder.errors import DataError
from builder.progress import Progress, tracked
from contract.files import sha256_of

_log = logging.getLogger(__name__)

SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"},
)
#: How many unusable files are named before the rest is only counted.
_NAMED = 20
_SHAPE = "expected train/ and val/ with one folder per class in each, or one flat folder of images"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image file; `folder` is its class folder's place in the sorted list, or None."""

    path: Path
    folder: int | None


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Images to tune, calibrate and evaluate with."""

    root: Path
    #: Class folders of `train/`, sorted; empty where there are no labels.
    folders: tuple[str, ...]
    #: In the order of their paths. Without labels these two are the same images.
    train: tuple[Sample, ...]
    val: tuple[Sample, ...]
    #: Files that are no usable images, each with the reason.
    bad: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the folder, for people."""
        return self.root.resolve().name

    @property
    def labelled(self) -> bool:
        """Whether class folders tell what the images show."""
        return bool(self.folders)

    def digest(self, progress: Progress) -> str:
        """SHA-256 over the names and the bytes of all images."""
        digest = hashlib.sha256()
        samples = sorted({sample.path for sample in (*self.train, *self.val)})
        for path in tracked(samples, progress, f"{self.name}: hashing", len(samples)):
            digest.update(f"{path.relative_to(self.root).as_posix()}\0".encode())
            digest.update(sha256_of(path).encode())
        return digest.hexdigest()

    def without_bad_images(self, progress: Progress) -> Dataset:
        """Return the data set less what cannot be decoded, and warn of that and of empty classes.

        Raises:
            DataError: no usable image is left in one of its parts.
        """
        samples = dict.fromkeys((*self.train, *self.val))
        reasons = {
            sample: reason
            for sample in tracked(samples, progress, f"{self.name}: checking", len(samples))
            if (reason := check_image(sample.path)) is not None
        }
        names = [f"{s.path.relative_to(self.root)}: {r}" for s, r in reasons.items()]
        cleaned = Dataset(
            root=self.root,
            folders=self.folders,
            train=tuple(sample for sample in self.train if sample not in reasons),
            val=tuple(sample for sample in self.val if sample not in reasons),
            bad=(*self.bad, *names),
        )
        for problem in cleaned.bad[:_NAMED]:
            _log.warning("skipped %s", problem)
        if cleaned.bad[_NAMED:]:
            _log.warning("skipped %d further files", len(cleaned.bad[_NAMED:]))
        for split, left in (("train", cleaned.train), ("val", cleaned.val)):
            if not left:
                where = f"{split}/" if self.labelled else "the folder"
                message = f"{self.root}: no usable image is left in {where}: {'; '.join(names[:3])}"
                raise DataError(message)
            shown = {sample.folder for sample in left}
            empty = [name for number, name in enumerate(self.folders) if number not in shown]
            if empty:
                _log.warning("%s/ has no images of %s", split, ", ".join(empty))
        return cleaned


def open_dataset(root: Path) -> Dataset:
    """List the images below `root`; nothing is decoded yet.

    Raises:
        DataError: no such folder, neither of the two shapes, a class in `val/` that
            `train/` lacks, or no images.
    """
    if not root.is_dir():
        what = "is a file" if root.exists() else "no such folder"
        message = f"data folder {root}: {what}; {_SHAPE}"
        raise DataError(message)
    parts = [name for name in ("train", "val") if (root / name).is_dir()]
    if len(parts) == 1:
        missing = "val" if parts == ["train"] else "train"
        message = f"data folder {root}: has {parts[0]}/ but no {missing}/; {_SHAPE}"
        raise DataError(message)
    return _open_labelled(root) if parts else _open_flat(root)


def _open_labelled(root: Path) -> Dataset:
    folders = _subfolders(root / "train")
    for split in ("train", "val"):
        names = _subfolders(root / split)
        if not names:
            message = f"data folder {root}: {split}/ has no class folders; {_SHAPE}"
            raise DataError(message)
        unknown = sorted(set(names) - set(folders))
        if unknown:
            message = (
                f"data folder {root}: {split}/ has classes that train/ lacks: "
                f"{', '.join(unknown[:5])}; add them to train/ or remove them"
            )
            raise DataError(message)
    bad: list[str] = []
    splits = {
        split: tuple(
            Sample(path=path, folder=number)
            for number, name in enumerate(folders)
            for path in _images((root / split / name).rglob("*"), root, bad)
        )
        for split in ("train", "val")
    }
    for split, samples in splits.items():
        if not samples:
            message = f"data folder {root}: {split}/ has no images; {_SHAPE}"
            raise DataError(message)
    return Dataset(root=root, folders=tuple(folders), bad=tuple(bad), **splits)


def _open_flat(root: Path) -> Dataset:
    bad: list[str] = []
    samples = tuple(Sample(path=path, folder=None) for path in _images(root.iterdir(), root, bad))
    if not samples:
        subfolders = _subfolders(root)
        found = f"folders {', '.join(subfolders[:5])}" if subfolders else "no images"
        message = f"data folder {root}: has {found}; {_SHAPE}"
        raise DataError(message)
    return Dataset(root=root, folders=(), train=samples, val=samples, bad=tuple(bad))


def _subfolders(folder: Path) -> list[str]:
    names = [entry.name for entry in folder.iterdir() if entry.is_dir()]
    return sorted(name for name in names if not name.startswith("."))


def _images(files: Iterable[Path], root: Path, bad: list[str]) -> list[Path]:
    images = []
    for path in sorted(files):
        if path.name.startswith(".") or not path.is_file():
            continue
        if path.suffix.lower() in SUFFIXES:
            images.append(path)
        else:
            bad.append(f"{path.relative_to(root)}: '{path.suffix}' is not an image's suffix")
    return images
