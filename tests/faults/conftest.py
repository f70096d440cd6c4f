"""A fast disk to lay many images on."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of our own is made below it


@pytest.fixture(scope="module")
def fast_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder, in memory where the box has such a disk.

    Syncs cost next to nothing there. What is tested is which calls were made, not the disk.
    """
    if os.access(_MEMORY, os.W_OK):
        with tempfile.TemporaryDirectory(dir=_MEMORY, prefix="edgewright-faults-") as folder:
            yield Path(folder)
    else:
        yield tmp_path_factory.mktemp("faults")
