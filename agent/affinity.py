"""The cores that this process may use, and how to hold it to a few of them."""

from __future__ import annotations

import os
from pathlib import Path

from agent.probes.load import LoadMeter


def usable_cores() -> set[int]:
    """Numbers of the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return os.sched_getaffinity(0)
    return set(range(os.cpu_count() or 1))


def keep_to_cores(root: Path, threads: int) -> str | None:
    """Hold this process to the `threads` idlest cores; says why where it cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return "this system has no CPU affinity"
    allowed = usable_cores()
    if len(allowed) < threads:
        return f"{threads} threads share the {len(allowed)} cores that this process may use"
    try:
        os.sched_setaffinity(0, LoadMeter(root, cores=allowed).idlest(threads))
    except OSError as error:
        return f"CPU affinity was refused: {error.strerror}"
    return None
