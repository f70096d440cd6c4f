"""Memory: what the box has (`/proc/meminfo`), and what control groups allow this process."""

from __future__ import annotations

from pathlib import Path

from agent.probes.files import as_count, read_count, read_integer, read_table
from agent.probes.groups import group_folders
from contract.box import Memory

_KIBIBYTE = 1024
#: Version 1 writes "no limit" as the largest multiple of a page below 2^63.
_UNLIMITED = 1 << 62


def read_memory(root: Path) -> Memory:
    """Memory of the box and of the tightest control group; None where it is not told."""
    table = read_table(root / "proc/meminfo")
    tightest = _tightest_group(root)
    limit_bytes, used_bytes = tightest or (None, None)
    return Memory(
        total_bytes=_bytes(table, "MemTotal"),
        available_bytes=_bytes(table, "MemAvailable"),
        swap_total_bytes=_bytes(table, "SwapTotal"),
        swap_free_bytes=_bytes(table, "SwapFree"),
        limit_bytes=limit_bytes,
        limit_used_bytes=used_bytes,
    )


def cgroup_limit_bytes(root: Path) -> int | None:
    """Tightest memory limit of the control groups of this process, or None without one."""
    tightest = _tightest_group(root)
    return tightest[0] if tightest else None


def _tightest_group(root: Path) -> tuple[int, int | None] | None:
    """Limit of the tightest group, and what that very group uses now."""
    unified, separate = group_folders(root, "memory")
    files = [(folder, "memory.max", "memory.current") for folder in unified]
    files += [(folder, "memory.limit_in_bytes", "memory.usage_in_bytes") for folder in separate]
    limits = [
        (limit, folder / used_name)
        for folder, limit_name, used_name in files
        if (limit := read_integer(folder / limit_name)) is not None and 0 <= limit < _UNLIMITED
    ]
    if not limits:
        return None
    limit, used = min(limits, key=lambda found: found[0])
    return limit, read_count(used)


def _bytes(table: dict[str, str], key: str) -> int | None:
    """A figure of `/proc/meminfo`, which says kB and means KiB: proc_meminfo(5)."""
    words = table.get(key, "").split()
    kibibytes = as_count(words[0]) if words else None
    return None if kibibytes is None else kibibytes * _KIBIBYTE
