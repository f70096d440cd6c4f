"""Notices when a bundle set on the disk was replaced."""

from __future__ import annotations

from pathlib import Path

from contract.bundleset import SET_NAME


class SetWatch:
    """Watches one folder's `set.json`, which is replaced whole and last."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / SET_NAME
        self._seen: tuple[int, int, int] | None = (0, 0, 0)

    def has_changed(self) -> bool:
        """Whether it was replaced, appeared or vanished since the last look; at first, yes."""
        try:
            stat = self._path.stat()
        except OSError:
            now = None
        else:
            now = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        changed = now != self._seen
        self._seen = now
        return changed
