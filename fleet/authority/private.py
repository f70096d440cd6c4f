"""Files and folders that only their owner may look into."""

from __future__ import annotations

from pathlib import Path

from contract.files import write_atomically
from edgewright.private_files import PRIVATE_MODE


def make_private_folder(folder: Path) -> None:
    """Make a folder where it is missing; one that is there keeps its mode.

    Raises:
        OSError: it cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_private(path: Path, content: bytes, *, keeps_owner: bool = False) -> None:
    """Write a secret, so that a reader sees the old file or the new one.

    With `keeps_owner` it belongs to whom the old one did, such as a broker's user.

    Raises:
        OSError: it cannot be written.
    """
    write_atomically(path, content, mode=PRIVATE_MODE, keeps_owner=keeps_owner)
