"""The file systems of the agent's folders: their space, their kind, whether they can be written."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from agent.probes.files import read_integer, read_text
from contract.box import Disk

#: Free and total bytes of the file system that holds a folder.
Space = Callable[[Path], tuple[int, int] | None]

_MEMORY = ("tmpfs", "ramfs")
_NETWORK = ("nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs")
#: Disks whose name alone says what they are, and what others say of themselves.
_NAMES = {"nvme": "nvme", "vd": "virtual", "xvd": "virtual", "zram": "memory"}
_MAPPER = "mapper/"
_ROTATIONAL: dict[int | None, str] = {0: "ssd", 1: "hdd"}
#: proc_pid_mountinfo(5): six fields and tags before the dash, the type and source after it.
_FIELDS_BEFORE, _FIELDS_AFTER = 6, 3
_OCTAL = re.compile(r"\\([0-7]{3})")
#: Encrypted and logical volumes stand on others; more layers than this are a fault.
_MOST_LAYERS = 8


class _Mount(msgspec.Struct, frozen=True, kw_only=True):
    point: str
    device: str
    options: frozenset[str]
    file_system: str
    source: str


def space_of(folder: Path) -> tuple[int, int] | None:
    """Free bytes for this user and total bytes; None where the folder cannot be asked.

    A folder that is not there yet has the space of the one above it.
    """
    try:
        usage = shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists()))
    except (OSError, StopIteration):
        return None
    return usage.free, usage.total


def read_disks(
    root: Path,
    folders: Mapping[str, Path],
    *,
    space: Space = space_of,
) -> list[Disk]:
    """File systems of the folders, each once.

    Args:
        root: where `/proc` and `/sys` are found.
        folders: absolute paths without links, by what they hold, such as `bundles`.
        space: tells the space of the file system that holds a folder.
    """
    mounts = _mounts(root)
    found: dict[str, Disk] = {}
    for holds, folder in folders.items():
        mount = _mount_of(mounts, folder)
        key = mount.point if mount else str(folder)
        if key in found:
            before = found[key]
            found[key] = msgspec.structs.replace(before, holds=[*before.holds, holds])
            continue
        free_bytes, total_bytes = space(folder) or (None, None)
        found[key] = Disk(
            holds=[holds],
            kind=_kind(root, mount) if mount else None,
            file_system=mount.file_system if mount else None,
            total_bytes=total_bytes,
            free_bytes=free_bytes,
            read_only="ro" in mount.options if mount else None,
        )
    return list(found.values())


def _mounts(root: Path) -> list[_Mount]:
    mounts = []
    for line in (read_text(root / "proc/self/mountinfo") or "").splitlines():
        before, _, after = line.partition(" - ")
        left, right = before.split(), after.split()
        if len(left) < _FIELDS_BEFORE or len(right) < _FIELDS_AFTER:
            continue
        mounts.append(
            _Mount(
                point=_OCTAL.sub(lambda match: chr(int(match[1], 8)), left[4]),
                device=left[2],
                # Of this mount, and of the file system as such: either makes it read-only.
                options=frozenset(left[5].split(",")) | frozenset(right[2].split(",")),
                file_system=right[0],
                source=right[1],
            ),
        )
    return mounts


def _mount_of(mounts: list[_Mount], folder: Path) -> _Mount | None:
    """The mount with the longest path above the folder; of two at one place the later one."""
    above = [mount for mount in mounts if folder.is_relative_to(mount.point)]
    return max(reversed(above), key=lambda mount: len(mount.point), default=None)


def _kind(root: Path, mount: _Mount) -> str | None:
    if mount.file_system == "overlay":
        return "overlay"
    if mount.file_system in _MEMORY:
        return "memory"
    if mount.file_system in _NETWORK:
        return "network"
    device = _device(root, mount)
    return _device_kind(_lowest(device)) if device else None


def _device(root: Path, mount: _Mount) -> Path | None:
    """Folder of a mount's block device, by its numbers, else by its name.

    btrfs mounts have numbers of their own, and `/dev/root` stands in no folder.
    """
    name = mount.source.removeprefix("/dev/")
    blocks = root / "sys/class/block"
    links = [root / "sys/dev/block" / mount.device, blocks / name]
    if name.startswith(_MAPPER):
        volume = name.removeprefix(_MAPPER)
        links += [dm for dm in blocks.glob("dm-*") if read_text(dm / "dm/name") == volume]
    return next((link.resolve() for link in links if name and _is_there(link)), None)


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _lowest(device: Path) -> Path:
    """The disk below a partition, an encrypted or a logical volume."""
    for _ in range(_MOST_LAYERS):
        below = sorted((device / "slaves").glob("*"))
        if below:
            device = below[0].resolve()
        elif (device / "partition").exists():
            device = device.parent
        else:
            break
    return device


def _device_kind(disk: Path) -> str | None:
    """Kind of a disk by its name and by the bus on its path."""
    name = disk.name
    if name.startswith("mmcblk"):
        return {"SD": "sd-card", "MMC": "emmc"}.get(read_text(disk / "device/type") or "")
    if name.startswith("sd"):
        if any(part.startswith("usb") for part in disk.parts):
            return "usb"
        return _ROTATIONAL.get(read_integer(disk / "queue/rotational"))
    return next((kind for prefix, kind in _NAMES.items() if name.startswith(prefix)), None)
