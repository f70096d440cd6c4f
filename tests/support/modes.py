"""Modes of files, where the user's umask would let everybody read and write."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def wide_umask() -> Iterator[None]:
    """Let everybody do everything with what is made without a mode of its own."""
    before = os.umask(0)
    yield
    os.umask(before)


def modes_in(folder: Path) -> dict[str, int]:
    """Mode of each file in a folder, by name."""
    return {one.name: stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir() if one.is_file()}
