"""What a measurement depends on besides the bundle: when it changes, old runs are stale."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from agent.probes.clock import governor
from agent.probes.cpu import read_cpu
from agent.probes.host import kernel
from agent.versions import agent_version, torch_version

_DIGITS = 16


def fingerprint(root: Path, *, usable_cores: int, memory_limit_bytes: int | None) -> str:
    """Sixteen hexadecimal digits over processor, system, versions and limits."""
    cpu = read_cpu(root)
    facts = [
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
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()[:_DIGITS]
