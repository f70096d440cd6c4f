"""The processor: its model, its features and its cores, from `/proc/cpuinfo`."""

from __future__ import annotations

import platform
from pathlib import Path

import msgspec

from agent.probes.files import read_text

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
    blocks = _blocks(read_text(root / "proc/cpuinfo") or "")
    processors = [block for block in blocks if "processor" in block]
    first = processors[0] if processors else {}
    features = first.get("flags") or first.get("Features") or ""
    sockets = {(p["physical id"], p["core id"]) for p in processors if "core id" in p}
    return Cpu(
        model=_model(root, blocks, first) or machine,
        features=sorted(features.split()),
        logical_cores=len(processors) or None,
        physical_cores=len(sockets) or None,
    )


def _model(root: Path, blocks: list[dict[str, str]], first: dict[str, str]) -> str | None:
    if name := first.get("model name"):
        return name
    # ARM: the core by its part number, and the board from the device tree.
    core = _ARM_CORES.get(first.get("CPU part", ""), first.get("CPU part"))
    board = read_text(root / "proc/device-tree/model")
    board = board or next((block["Model"] for block in blocks if "Model" in block), None)
    return ", ".join(part for part in (board, core) if part) or None


def _blocks(text: str) -> list[dict[str, str]]:
    blocks = []
    for paragraph in text.split("\n\n"):
        pairs = (line.partition(":") for line in paragraph.splitlines())
        blocks.append({key.strip(): value.strip() for key, _, value in pairs})
    return blocks
