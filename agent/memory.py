"""How much memory this process holds, and how much it held at most."""

from __future__ import annotations

import contextlib
from pathlib import Path

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


def peak_bytes(pid: int | None = None, proc: Path = _PROC) -> int | None:
    """Peak resident set size (VmHWM) of a process, by default this one; None if unknown."""
    return _status_bytes("VmHWM:", pid, proc)


def anonymous_bytes(pid: int | None = None, proc: Path = _PROC) -> int | None:
    """Resident memory that no file backs (RssAnon), of this process by default; None if unknown.

    The kernel tells it since Linux 4.5: proc_pid_status(5).
    """
    return _status_bytes("RssAnon:", pid, proc)


def _status_bytes(key: str, pid: int | None, proc: Path) -> int | None:
    folder = "self" if pid is None else str(pid)
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (proc / folder / "status").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * _KIBIBYTE
    return None
