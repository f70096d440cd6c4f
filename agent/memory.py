"""How much memory this process holds, and how much it held at most."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import NamedTuple

import psutil

_PROC = Path("/proc")
#: Written to clear_refs, it resets VmHWM: proc_pid_clear_refs(5).
_RESET_PEAK = "5"
_KIBIBYTE = 1024


def resident_bytes() -> int:
    """Resident set size of this process now."""
    rss: int = psutil.Process().memory_info().rss
    return rss


def reset_peak(proc: Path = _PROC) -> bool:
    """Start a new peak measurement of this process; False where the kernel refuses."""
    try:
        (proc / "self" / "clear_refs").write_text(_RESET_PEAK)
    except OSError:
        return False
    return True


class Held(NamedTuple):
    """What the kernel says of a process's resident memory, in bytes; None where it does not."""

    #: Most since the start, or since the peak was reset (VmHWM).
    peak: int | None
    #: What no file backs (RssAnon), told since Linux 4.5.
    anonymous: int | None


def held(pid: int | None = None, proc: Path = _PROC) -> Held:
    """Read what a process holds, by default this one: `/proc/PID/status`, once."""
    folder = "self" if pid is None else str(pid)
    found: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (proc / folder / "status").read_text().splitlines():
            name, _, value = line.partition(":")
            if name in {"VmHWM", "RssAnon"}:
                found[name] = int(value.split()[0]) * _KIBIBYTE
    return Held(peak=found.get("VmHWM"), anonymous=found.get("RssAnon"))
