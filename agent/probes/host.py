"""The operating system: its name and its kernel."""

from __future__ import annotations

import platform
import shlex
from pathlib import Path

from agent.probes.files import read_text


def os_name(root: Path) -> str:
    """Distribution as it names itself, else the kernel's kind."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        for line in (read_text(root / name) or "").splitlines():
            key, _, value = line.partition("=")
            if key == "PRETTY_NAME" and value:
                return _unquoted(value)
    return platform.system()


def _unquoted(value: str) -> str:
    """A value as a shell reads it: os-release(5)."""
    try:
        return " ".join(shlex.split(value))
    except ValueError:
        return value


def kernel(root: Path) -> str:
    """Kernel release."""
    return read_text(root / "proc/sys/kernel/osrelease") or platform.release()
