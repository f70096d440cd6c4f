"""The processor: its model and its features, from `/proc/cpuinfo`."""

from __future__ import annotations

import platform
from pathlib import Path

import msgspec

from agent.probes.files import as_count, read_text

#: MIDR part numbers of the cores found in common boards: Arm's technical reference manuals.
_ARM_CORES = {
    "0xd03": "Cortex-A53",
    "0xd04": "Cortex-A35",
    "0xd05": "Cortex-A55",
    "0xd07": "Cortex-A57",
    "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73",
    "0xd0a": "Cortex-A75",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd41": "Cortex-A78",
    "0xd42": "Cortex-A78AE",
}


class Cpu(msgspec.Struct, frozen=True, kw_only=True):
    """What the processor is; None where the box does not tell."""

    model: str
    features: list[str]
    logical_cores: int | None
    physical_cores: int | None


def read_cpu(root: Path, *, machine: str = platform.machine()) -> Cpu:
    """Processor of the box; `machine` names it where nothing else does."""
    blocks = _blocks(root)
    listed = list(processors(root).values())
    first = listed[0] if listed else {}
    features = first.get("flags") or first.get("Features") or ""
    sockets = {(p.get("physical id"), p["core id"]) for p in listed if "core id" in p}
    return Cpu(
        model=_model(root, blocks, first) or machine,
        features=sorted(features.split()),
        logical_cores=len(listed) or None,
        physical_cores=len(sockets) or None,
    )


def processors(root: Path) -> dict[int, dict[str, str]]:
    """What `/proc/cpuinfo` says of each logical core that is online."""
    numbered = ((as_count(block.get("processor", "")), block) for block in _blocks(root))
    return {number: block for number, block in numbered if number is not None}


def arm_core(processor: dict[str, str]) -> str | None:
    """Design of an Arm core by its part number, or the number where it is not known here."""
    part = processor.get("CPU part")
    return _ARM_CORES.get(part or "", part)


def _model(root: Path, blocks: list[dict[str, str]], first: dict[str, str]) -> str | None:
    # Arm kernels may say "ARMv8 Processor rev 1" as a model name: that names an instruction
    # set. The part number names the core, and the device tree the board.
    core = arm_core(first)
    if core is None:
        core = first.get("model name")
    board = read_text(root / "proc/device-tree/model")
    board = board or next((block["Model"] for block in blocks if "Model" in block), None)
    return ", ".join(part for part in (board, core) if part) or None


def _blocks(root: Path) -> list[dict[str, str]]:
    blocks = []
    for paragraph in (read_text(root / "proc/cpuinfo") or "").split("\n\n"):
        pairs = (line.partition(":") for line in paragraph.splitlines())
        blocks.append({key.strip(): value.strip() for key, _, value in pairs})
    return blocks
