"""Commands that tell what no file does; absent, failing or slow ones tell nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence

#: `vcgencmd` answers in milliseconds; a firmware that does not is not worth a measurement.
TIMEOUT_S = 1.0
_REAPING_SECONDS = 0.2

#: Output of a command, or None where it has none to give.
Run = Callable[[Sequence[str]], str | None]


def run_command(arguments: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> str | None:
    """Standard output of a command that ends well in time, else None."""
    program = shutil.which(arguments[0])
    if program is None:
        return None
    try:
        process = subprocess.Popen(
            [program, *arguments[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError:
        return None
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        _end(process)
        return None
    return output if process.returncode == 0 else None


def run_nothing(_arguments: Sequence[str]) -> str | None:
    """None, whatever is asked: for a tree of files that is not this box."""
    return None


def _end(process: subprocess.Popen[str]) -> None:
    """Kill a command and its children, and do not wait for what the kernel holds back."""
    with contextlib.suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.stdout is not None:
        process.stdout.close()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_REAPING_SECONDS)
