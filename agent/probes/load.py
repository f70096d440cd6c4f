"""How busy the box is, and with whose work: `/proc/loadavg` and `/proc/stat`."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from agent.probes.files import as_count, as_number, read_text

#: Fields of a cpu line: user nice system idle iowait irq softirq steal; proc_stat(5).
_IDLE, _IOWAIT = 3, 4
_COUNTED_FIELDS = 8
_LOOK_SECONDS = 0.05


def load_1m(root: Path) -> float | None:
    """Load average over the last minute."""
    words = (read_text(root / "proc/loadavg") or "").split()
    return as_number(words[0]) if words else None


def busy_seconds(root: Path) -> dict[int, float]:
    """Seconds that each core was busy since boot; empty where the box does not tell."""
    text = read_text(root / "proc/stat") or ""
    tick = os.sysconf("SC_CLK_TCK")
    busy = {}
    for line in text.splitlines():
        name, *fields = line.split() or [""]
        core = name.removeprefix("cpu")
        ticks = [as_count(field) for field in fields[:_COUNTED_FIELDS]]
        known = [count for count in ticks if count is not None]
        if name.startswith("cpu") and core.isdecimal() and len(known) == len(ticks):
            idle = sum(known[_IDLE : _IOWAIT + 1])
            busy[int(core)] = (sum(known) - idle) / tick
    return busy


class LoadMeter:
    """Work of other processes on some cores since the meter was made.

    Args:
        root: where `/proc` is found.
        cores: the cores to look at, usually those that this process may use.
        own_seconds: CPU time that is not foreign; by default that of this process.
    """

    def __init__(
        self,
        root: Path,
        *,
        cores: Iterable[int],
        own_seconds: Callable[[], float] = time.process_time,
    ) -> None:
        self._root = root
        self._cores = sorted(cores)
        self._own_seconds = own_seconds
        self._own_start = own_seconds()
        self._start = time.monotonic()
        self._busy_start = busy_seconds(root)

    def foreign_share(self) -> float | None:
        """Share (0..1) of the cores' time that went to others; None where unknown."""
        elapsed = time.monotonic() - self._start
        busy = self._busy_since()
        if elapsed <= 0.0 or not busy:
            return None
        foreign = sum(busy.values()) - (self._own_seconds() - self._own_start)
        return min(max(foreign / (elapsed * len(busy)), 0.0), 1.0)

    def idlest(self, count: int) -> set[int]:
        """`count` of the cores that were least busy during a short look."""
        time.sleep(_LOOK_SECONDS)
        busy = self._busy_since()
        return set(sorted(self._cores, key=lambda core: busy.get(core, 0.0))[:count])

    def _busy_since(self) -> dict[int, float]:
        now = busy_seconds(self._root)
        return {
            core: now[core] - self._busy_start[core]
            for core in self._cores
            if core in now and core in self._busy_start
        }
