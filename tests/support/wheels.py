"""Wheels of other releases: this one's files with something added to them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from fleet.deploy.wheel import pack_wheel

_ROOT = Path(__file__).parents[2]


def other_wheel(folder: Path, additions: Mapping[str, str]) -> Path:
    """A wheel in `folder` whose files end with other lines than here."""
    root = folder / "source"
    for package in ("contract", "edgewright", "builder", "agent", "fleet"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_ROOT / package, root / package, ignore=ignored)
    for name, text in additions.items():
        with (root / name).open("a") as file:
            file.write(text)
    name, content = pack_wheel(root=root)
    (folder / name).write_bytes(content)
    return folder / name
