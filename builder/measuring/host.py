"""This host's processor: its name, and the core that is least busy."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

_LOOK_SECONDS = 0.1
#: Fields of a cpu line of /proc/stat: user nice system idle iowait irq softirq steal.
_IDLE, _IOWAIT = 3, 4
_COUNTED_FIELDS = 8
#: What names the processor: on x86, on older ARM kernels, on boards.
_NAMES = ("model name", "Model", "Hardware", "CPU part")


def cpu_model(root: Path = Path("/")) -> str:
    """Name of the processor; the architecture where nothing else is known."""
    facts: dict[str, str] = {}
    for line in _text(root / "proc/cpuinfo").splitlines():
        key, colon, value = line.partition(":")
        if colon:
            facts.setdefault(key.strip(), value.strip())
    return next((facts[name] for name in _NAMES if facts.get(name)), platform.machine())


def keep_to_idlest_core(root: Path = Path("/")) -> int | None:
    """Hold this process to the least busy core that it may use; None where the OS cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    before = _busy_ticks(root)
    time.sleep(_LOOK_SECONDS)
    after = _busy_ticks(root)
    core = min(allowed, key=lambda number: after.get(number, 0) - before.get(number, 0))
    try:
        os.sched_setaffinity(0, {core})
    except OSError:
        return None
    return core


def _busy_ticks(root: Path) -> dict[int, int]:
    busy = {}
    for line in _text(root / "proc/stat").splitlines():
        name, *fields = line.split() or [""]
        core = name.removeprefix("cpu")
        if name.startswith("cpu") and core.isdigit() and all(field.isdigit() for field in fields):
            ticks = [int(field) for field in fields[:_COUNTED_FIELDS]]
            busy[int(core)] = sum(ticks) - sum(ticks[_IDLE : _IOWAIT + 1])
    return busy


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
