"""Creates files that only their owner may look into, and tells which ones others may."""

from __future__ import annotations

import os
import stat
from pathlib import Path

#: What only the owner may read and write.
PRIVATE_MODE = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def create_private(path: Path) -> None:
    """Create an empty file for its owner alone, however wide the umask; one that is there stays.

    SQLite takes an empty file for a new database, and gives its `-wal` and `-shm` the same mode.

    Raises:
        OSError: it cannot be created.
    """
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, PRIVATE_MODE))


def mode_for_others(path: Path) -> str | None:
    """Mode of a file into which more than its owner may look, such as `0644`; else None.

    Raises:
        OSError: it cannot be looked at.
    """
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"{mode:04o}" if mode & _OTHERS else None
