"""A control group (version 2) that holds one worker to its memory limit."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

from agent.logs import fields
from agent.probes.files import read_text

_log = logging.getLogger(__name__)


class MemoryGroup:
    """One group with a memory limit, for one worker; make it with `create`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def create(cls, root: Path, *, name: str, limit_bytes: int) -> MemoryGroup | None:
        """Make a group below this process's own; None where the box does not let us.

        It takes a version 2 hierarchy with the memory controller, and a group delegated to
        this user: as root, or under systemd with `Delegate=memory`.
        """
        parent = _own_group(root)
        if parent is None:
            return None
        folder = parent / name
        try:
            folder.mkdir()
        except OSError as error:
            _log.debug("cgroup_refused", extra=fields(folder=folder, error=error))
            return None
        try:
            if not (folder / "memory.max").exists():
                (parent / "cgroup.subtree_control").write_text("+memory")
            _write_existing(folder / "memory.max", str(limit_bytes))
            # Swapping would hide the limit and make every latency a lie.
            with contextlib.suppress(OSError):
                _write_existing(folder / "memory.swap.max", "0")
        except OSError as error:
            _log.debug("cgroup_refused", extra=fields(folder=folder, error=error))
            folder.rmdir()
            return None
        return cls(folder)

    def admit(self, pid: int) -> bool:
        """Move a process into the group; False where that is refused."""
        try:
            (self._folder / "cgroup.procs").write_text(str(pid))
        except OSError as error:
            _log.debug("cgroup_refused", extra=fields(folder=self._folder, error=error))
            return False
        return True

    def killed_for_memory(self) -> bool:
        """Whether the kernel killed a process here for going over the limit."""
        events = read_text(self._folder / "memory.events") or ""
        counts = dict(line.split() for line in events.splitlines())
        return int(counts.get("oom_kill", "0")) > 0

    def remove(self) -> None:
        """Remove the group; its processes must have ended."""
        with contextlib.suppress(OSError):
            self._folder.rmdir()


def _own_group(root: Path) -> Path | None:
    """Folder of this process's version 2 group, if that hierarchy can limit memory."""
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        hierarchy, _, path = line.split(":", 2)
        folder = root / "sys/fs/cgroup" / path.lstrip("/")
        controllers = (read_text(folder / "cgroup.controllers") or "").split()
        if hierarchy == "0" and "memory" in controllers:
            return folder
    return None


def _write_existing(path: Path, text: str) -> None:
    """Write a kernel file, and never create one where the kernel has none."""
    with path.open("r+") as file:
        file.write(text)
