"""Memory limits set on this process from outside, from its control groups."""

from __future__ import annotations

from pathlib import Path

from agent.probes.files import read_integer, read_text

#: Version 1 writes "no limit" as the largest multiple of a page below 2^63.
_UNLIMITED = 1 << 62


def cgroup_limit_bytes(root: Path) -> int | None:
    """Tightest memory limit of the control groups of this process, or None without one."""
    limits = []
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            limits += _limits(root / "sys/fs/cgroup", path, "memory.max")
        elif "memory" in controllers.split(","):
            limits += _limits(root / "sys/fs/cgroup/memory", path, "memory.limit_in_bytes")
    return min(limits, default=None)


def _limits(mount: Path, path: str, name: str) -> list[int]:
    """Limits of a group and of every group above it, which bind as well."""
    folder = mount / path.lstrip("/")
    folders = [folder, *folder.parents]
    folders = folders[: folders.index(mount) + 1] if mount in folders else []
    values = (read_integer(folder / name) for folder in folders)
    return [value for value in values if value is not None and value < _UNLIMITED]
