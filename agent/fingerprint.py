"""What a measurement depends on besides the bundle: when it changes, old runs are stale."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from agent.probes.board import read_board
from agent.probes.clock import governor
from agent.probes.cpu import read_cpu
from agent.probes.host import kernel
from agent.probes.quota import cpu_quota_cores
from agent.versions import agent_version, torch_version

_DIGITS = 16


def fingerprint(root: Path, *, usable_cores: int, memory_limit_bytes: int | None) -> str:
    """Sixteen hexadecimal digits over processor, system, versions and limits."""
    cpu = read_cpu(root)
    board = read_board(root)
    facts: list[object] = [
        cpu.model,
        cpu.features,
        cpu.logical_cores,
        usable_cores,
        kernel(root),
        governor(root),
        torch_version(),
        agent_version(),
        memory_limit_bytes,
    ]
    # Only where the box has them, so that other boxes keep their fingerprint and their runs.
    extra = {
        "cpu_quota_cores": cpu_quota_cores(root),
        "power_mode": board.power_mode if board else None,
    }
    facts += [[name, value] for name, value in extra.items() if value is not None]
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:_DIGITS]
