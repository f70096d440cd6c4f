"""Holds one worker process to its memory limit, and says who does: the kernel or who looks."""

from __future__ import annotations

import uuid
from pathlib import Path

import psutil

from agent import memory
from agent.cgroup import MemoryGroup
from agent.postmortem import kernel_oom_kills
from agent.protocol import Stage
from contract.benchmark import LimitKind

_MEGABYTE = 1e6


class Confinement:
    """What one worker may hold, and what it held.

    Args:
        pid: the worker, which has not begun: it holds next to nothing when it is confined.
        limit_bytes: memory that it may hold; None for no limit.
        root: where `/proc` and `/sys` are found.
    """

    def __init__(self, pid: int, limit_bytes: int | None, root: Path) -> None:
        self._pid = pid
        self._limit_bytes = limit_bytes
        self._root = root
        self._process = _process(pid)
        self._kills_before = kernel_oom_kills(root)
        self._group = None if limit_bytes is None else _group(pid, limit_bytes, root)
        #: Highest resident set seen from outside, the import of large libraries included.
        self.seen_rss_bytes = 0
        #: Most anonymous memory seen from outside; 0 where the kernel does not tell it.
        self.seen_anonymous_bytes = 0

    @property
    def kind(self) -> LimitKind | None:
        """Who enforces the limit; None where there is none."""
        if self._limit_bytes is None:
            return None
        return LimitKind.CGROUP if self._group else LimitKind.WATCHDOG

    @property
    def needs_looking(self) -> bool:
        """Whether the limit is enforced by nothing but looking."""
        return self.kind is LimitKind.WATCHDOG

    def look(self, stage: Stage) -> str | None:
        """See what it holds; why it must be ended, where only looking enforces the limit."""
        held = memory.held(self._pid)
        # The kernel's own peak also sees what came and went between two looks.
        rss_bytes = max(_rss_bytes(self._process), held.peak or 0)
        if stage is not Stage.EXAMINING:
            # What decoding pictures takes is no part of what the variant takes.
            self.seen_rss_bytes = max(self.seen_rss_bytes, rss_bytes)
            self.seen_anonymous_bytes = max(self.seen_anonymous_bytes, held.anonymous or 0)
        limit_bytes = self._limit_bytes
        if limit_bytes is None or not self.needs_looking or rss_bytes <= limit_bytes:
            return None
        return (
            f"held {rss_bytes / _MEGABYTE:.0f} MB while {stage.value}, "
            f"over its limit of {limit_bytes / _MEGABYTE:.0f} MB"
        )

    def killed_for_memory(self) -> bool:
        """Whether the kernel killed for want of memory: here, or anywhere if there is no group."""
        if self._group:
            return self._group.killed_for_memory()
        return kernel_oom_kills(self._root) > self._kills_before

    def lift(self) -> None:
        """Leave nothing behind; the worker must have ended."""
        if self._group:
            self._group.remove()


def _group(pid: int, limit_bytes: int, root: Path) -> MemoryGroup | None:
    name = f"edgewright-{uuid.uuid4().hex[:12]}"
    group = MemoryGroup.create(root, name=name, limit_bytes=limit_bytes)
    if group is not None and not group.admit(pid):
        group.remove()
        return None
    return group


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None


def _rss_bytes(process: psutil.Process | None) -> int:
    """Resident set of a worker, as far as it still can be seen."""
    if process is None:
        return 0
    try:
        rss: int = process.memory_info().rss
    except psutil.Error:
        return 0
    return rss
