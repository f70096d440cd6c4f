"""What this host's processor multiplies in one step, as Linux names it."""

from __future__ import annotations

from pathlib import Path

PROCESSOR = Path("/proc/cpuinfo")
#: Of x86 (products in vectors or tiles) and of ARM.
BFLOAT16 = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
#: Of x86: products of 8 bits that are summed up in 32.
VNNI = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})


def host_has(wanted: frozenset[str], processor: Path = PROCESSOR) -> bool:
    """Whether this host has one of these instructions.

    Args:
        wanted: as the flags of the processor are called.
        processor: as Linux describes it; where there is no such file, it is taken that not.
    """
    try:
        lines = processor.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    words = (line.partition(":") for line in lines)
    return any(
        not wanted.isdisjoint(flags.split())
        for name, _, flags in words
        if name.strip() in {"flags", "Features"}
    )
