"""Trees of `/proc` and `/sys` files of several boxes, and what commands answer there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

TREES = Path(__file__).parents[1] / "agent/trees"
NAMES = sorted(path.name for path in TREES.iterdir())


def tree(box: str) -> Path:
    """Root of a box's files."""
    return TREES / box


def write(root: Path, files: dict[str, str]) -> Path:
    """Add small files to a tree."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


class Commands:
    """Runs no command: answers as `commands/` of the tree says, and remembers the questions."""

    def __init__(self, root: Path) -> None:
        self._folder = root / "commands"
        self.asked: list[str] = []

    def __call__(self, arguments: Sequence[str]) -> str | None:
        asked = " ".join(arguments)
        self.asked.append(asked)
        path = self._folder / asked
        return path.read_text(errors="replace") if path.is_file() else None
