"""How a worker's death reads: its exit code, its signal and its last words."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import IO

from agent.probes.files import read_text
from agent.protocol import Stage
from contract.benchmark import RunStatus

_TAIL_BYTES = 4096
_WORDS_CHARACTERS = 300
_SILENCE = "it said nothing"
_MEMORY_WORDS = ("MemoryError", "bad_alloc")


def explain_death(
    code: int,
    *,
    stage: Stage,
    last_words: str,
    oom_killed: bool,
) -> tuple[RunStatus, str]:
    """Status and reason of a worker that ended without an answer.

    Args:
        code: exit code; negative for a signal, as `subprocess` has it.
        stage: how far it was.
        last_words: last line that it wrote to standard error.
        oom_killed: whether the kernel killed for want of memory meanwhile.
    """
    where = f"while {stage.value}"
    if code >= 0:
        if any(word in last_words for word in _MEMORY_WORDS):
            return RunStatus.OOM, f"{last_words}, {where}"
        return RunStatus.CRASHED, f"exit code {code} {where}: {last_words or _SILENCE}"
    if -code == signal.SIGKILL and oom_killed:
        return RunStatus.OOM, f"killed by the kernel for want of memory, {where}"
    hint = last_words or _SILENCE
    if -code == signal.SIGILL:
        hint = "this torch uses instructions that the CPU lacks"
    return RunStatus.CRASHED, f"killed by {signal.Signals(-code).name} {where}: {hint}"


def last_words(stderr: IO[bytes]) -> str:
    """Last line of what a worker wrote to standard error; empty where it wrote nothing."""
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, size - _TAIL_BYTES))
    lines = stderr.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:_WORDS_CHARACTERS] if lines else ""


def kernel_oom_kills(root: Path) -> int:
    """How often the kernel has killed for want of memory since boot."""
    for line in (read_text(root / "proc/vmstat") or "").splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return 0
