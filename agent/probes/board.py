"""The board: its device tree, and what NVIDIA's Jetson Linux adds to it."""

from __future__ import annotations

import re
from pathlib import Path

from agent.probes.files import as_count, read_text
from contract.box import Board

#: First line of `/etc/nv_tegra_release`: `# R36 (release), REVISION: 3.0, GCID: ...`.
_JETSON_RELEASE = re.compile(r"#\s*R(\d+)\s*\(release\),\s*REVISION:\s*([\d.]+)")
#: What `nvpmodel` keeps of its last choice: `pmode:0001`.
_POWER_MODE = re.compile(r"pmode:(\d+)")


def read_board(root: Path) -> Board | None:
    """Board of a box with a device tree or Jetson Linux; None for others."""
    compatible = [name for name in (_tree(root, "compatible") or "").split("\0") if name]
    release = _JETSON_RELEASE.match(read_text(root / "etc/nv_tegra_release") or "")
    mode = _POWER_MODE.match(read_text(root / "var/lib/nvpmodel/status") or "")
    board = Board(
        model=_tree(root, "model"),
        # From the board to the chip, most particular first: Devicetree Specification, 2.3.1.
        soc=compatible[-1] if compatible else None,
        jetson_linux=".".join(release.groups()) if release else None,
        power_mode=as_count(mode[1]) if mode else None,
    )
    return None if board == Board() else board


def _tree(root: Path, name: str) -> str | None:
    return read_text(root / "proc/device-tree" / name) or None
