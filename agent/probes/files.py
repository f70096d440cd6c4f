"""Small files of `/sys` and `/proc`, read so that absence is no failure."""

from __future__ import annotations

from pathlib import Path


def read_text(path: Path) -> str | None:
    """Content without surrounding blanks; None where the file is absent or refuses."""
    try:
        return path.read_text(errors="replace").strip("\0 \n\t")
    except OSError:
        return None


def read_integer(path: Path, base: int = 10) -> int | None:
    """Content as an integer; None where the file is absent, refuses or holds no number."""
    text = read_text(path)
    try:
        return None if text is None else int(text, base)
    except ValueError:
        return None
