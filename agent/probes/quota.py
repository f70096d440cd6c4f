"""Processor time that control groups allow this process, in cores."""

from __future__ import annotations

from pathlib import Path

from agent.probes.files import as_integer, read_integer, read_text
from agent.probes.groups import group_folders

_PARTS = 2


def cpu_quota_cores(root: Path) -> float | None:
    """Tightest quota, such as 1.5 cores; None without one.

    Version 2 writes "QUOTA PERIOD" or "max PERIOD" into `cpu.max`, version 1 has a file for
    each and -1 for no limit: kernel documentation, admin-guide/cgroup-v2 and
    scheduler/sched-bwc.
    """
    unified, separate = group_folders(root, "cpu")
    quotas = [_unified_quota(folder) for folder in unified]
    quotas += [
        _cores(
            read_integer(folder / "cpu.cfs_quota_us"),
            read_integer(folder / "cpu.cfs_period_us"),
        )
        for folder in separate
    ]
    return min((quota for quota in quotas if quota is not None), default=None)


def _unified_quota(folder: Path) -> float | None:
    words = (read_text(folder / "cpu.max") or "").split()
    return _cores(as_integer(words[0]), as_integer(words[1])) if len(words) == _PARTS else None


def _cores(quota_us: int | None, period_us: int | None) -> float | None:
    if quota_us is None or period_us is None or quota_us <= 0 or period_us <= 0:
        return None
    return quota_us / period_us
