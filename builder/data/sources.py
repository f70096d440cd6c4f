"""Data sets that the builder fetches itself, each known by a name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import DownloadError
from builder.networks import vision
from builder.networks.download import download
from builder.progress import Progress, tracked
from contract.files import sha256_of


@dataclass(frozen=True, kw_only=True)
class Source:
    """One data set: where its archive lies, and the class that reads it."""

    url: str
    #: SHA-256 of the archive, 64 hexadecimal digits.
    sha256: str
    #: Of the shape of torchvision.datasets.CIFAR10: made from `root`, `train` and `download`,
    #: a sequence of images and class numbers, with `classes` in order.
    reader: Callable[..., Any]

    @property
    def file_name(self) -> str:
        """Name of the archive."""
        return self.url.rpartition("/")[2]


def known_sources() -> dict[str, Source]:
    """Data sets that `locate_data` fetches, by name."""
    cifar10 = vision.cifar10()
    return {
        # 50,000 images to train on and 10,000 to evaluate with, 32 x 32 (Krizhevsky 2009).
        "cifar10": Source(
            url=cifar10.url,
            sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
            reader=cifar10,
        ),
    }


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Folder of what can be fetched again: $XDG_CACHE_HOME/edgewright or ~/.cache/edgewright."""
    home = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "edgewright"


def locate_data(
    name_or_path: str,
    *,
    cache: Path,
    progress: Progress,
    sources: Mapping[str, Source] | None = None,
) -> Path:
    """Path of a data folder: the one given, or that of a known data set.

    A folder of the name comes first. A known data set is fetched once and laid out below
    `cache` as train/ and val/ with a folder per class, images as lossless PNG. That folder
    appears whole or not at all.

    Args:
        name_or_path: `cifar10`, or a folder, which need not exist.
        cache: folder of fetched data sets, made where needed.
        progress: told of the download and of the images written.
        sources: data sets by name; the known ones where None.

    Raises:
        DownloadError: not reachable, cut off, or other content than expected.
        OSError: `cache` cannot be written.
    """
    path = Path(name_or_path)
    if path.exists():
        return path
    source = (known_sources() if sources is None else sources).get(name_or_path)
    if source is None:
        return path
    folder = cache / name_or_path
    if not folder.is_dir():
        archive = _fetched(source, cache, progress)
        _lay_out(source, archive, folder, progress)
        # All that it holds stands in the folder now.
        archive.unlink(missing_ok=True)
    return folder


def _fetched(source: Source, cache: Path, progress: Progress) -> Path:
    archive = cache / source.file_name
    download(
        source.url,
        archive,
        sha256_prefix=source.sha256,
        progress=progress,
        otherwise="give --data a folder with train/ and val/, a folder per class in each",
    )
    # One that somebody put here has not been checked yet.
    found = sha256_of(archive)
    if found != source.sha256:
        message = (
            f"{archive}: expected SHA-256 {source.sha256}, got {found}; remove the file, then "
            f"run again or put {source.url} there"
        )
        raise DownloadError(message)
    return archive


def _lay_out(source: Source, archive: Path, folder: Path, progress: Progress) -> None:
    with tempfile.TemporaryDirectory(
        dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"
    ) as scratch:
        raw, tree = Path(scratch) / "raw", Path(scratch) / folder.name
        raw.mkdir()
        # The reader finds its archive where it would have put it, and unpacks that.
        (raw / archive.name).symlink_to(archive.resolve())
        for split, is_train in (("train", True), ("val", False)):
            images = source.reader(root=str(raw), train=is_train, download=True)
            for label in images.classes:
                (tree / split / label).mkdir(parents=True)
            activity = f"{folder.name}: writing {split}/"
            for number, (image, target) in enumerate(
                tracked(images, progress, activity, len(images))
            ):
                image.save(tree / split / images.classes[target] / f"{number:05}.png")
        # After a power cut a folder that is there must not hold empty files.
        os.sync()
        try:
            tree.rename(folder)
        except OSError:
            # Another build laid it out in the meantime.
            if not folder.is_dir():
                raise
