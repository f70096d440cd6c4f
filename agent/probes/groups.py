"""The control groups that this process is in: folders whose limits bind it."""

from __future__ import annotations

from pathlib import Path

from agent.probes.files import read_text


def group_folders(root: Path, controller: str) -> tuple[list[Path], list[Path]]:
    """Folders of this process's groups in version 2 and in version 1 of `controller`.

    A group comes before the groups above it, whose limits bind as well. Where a container
    shows the host's path but only its own part of the hierarchy, the mount is that part.
    """
    unified: list[Path] = []
    separate: list[Path] = []
    mount = root / "sys/fs/cgroup"
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        parts = line.split(":", 2)
        if len(parts) < len(("hierarchy", "controllers", "path")):
            continue
        _, controllers, path = parts
        if controllers == "":
            unified += _up_to(mount, path)
        elif controller in controllers.split(","):
            separate += _up_to(mount / controller, path)
    return unified, separate


def _up_to(mount: Path, path: str) -> list[Path]:
    folder = mount / path.lstrip("/")
    folders = [folder, *folder.parents]
    return folders[: folders.index(mount) + 1] if mount in folders else []
