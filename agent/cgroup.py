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
        """Make a group for one worker; None where the box does not let us.

        It takes a version 2 hierarchy with the memory controller, and groups that this user
        may make: as root, in a user's session, or under systemd with `Delegate=memory`.
        """
        for parent in _possible_parents(root):
            folder = parent / name
            try:
                folder.mkdir()
            except OSError as error:
                _log.debug("cgroup_refused", extra=fields(folder=folder, error=error))
                continue
            try:
                _limit(parent, folder, limit_bytes)
            except OSError as error:
                _log.debug("cgroup_refused", extra=fields(folder=folder, error=error))
                folder.rmdir()
            else:
                return cls(folder)
        return None

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


def _possible_parents(root: Path) -> list[Path]:
    """Groups below which a worker's group may be made, in the order to try them.

    The group of this process comes first, but the kernel does not let a group that holds
    processes limit its children, unless it is the root; a sibling then does as well.
    """
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        hierarchy, _, path = line.split(":", 2)
        if hierarchy == "0":
            mount = root / "sys/fs/cgroup"
            own = mount / path.lstrip("/")
            parents = [own] if own == mount else [own, own.parent]
            return [parent for parent in parents if _controls_memory(parent)]
    return []


def _controls_memory(folder: Path) -> bool:
    return "memory" in (read_text(folder / "cgroup.controllers") or "").split()


def _limit(parent: Path, folder: Path, limit_bytes: int) -> None:
    if not (folder / "memory.max").exists():
        _write_existing(parent / "cgroup.subtree_control", "+memory")
    _write_existing(folder / "memory.max", str(limit_bytes))
    # Swapping would hide the limit and make every latency a lie; not every kernel has swap.
    with contextlib.suppress(OSError):
        _write_existing(folder / "memory.swap.max", "0")


def _write_existing(path: Path, text: str) -> None:
    """Write a kernel file, and never create one where the kernel has none."""
    with path.open("r+") as file:
        file.write(text)
