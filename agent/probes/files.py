"""Small files of `/sys` and `/proc`, read so that absence is no failure."""

from __future__ import annotations

import math
from pathlib import Path


def read_text(path: Path) -> str | None:
    """Content without surrounding blanks; None where the file is absent or refuses."""
    try:
        return path.read_text(errors="replace").strip("\0 \n\t")
    # A path made from another file's garbage may hold what no path can: a ValueError.
    except (OSError, ValueError):
        return None


def read_integer(path: Path, base: int = 10) -> int | None:
    """Content as an integer; None where the file is absent, refuses or holds no number."""
    text = read_text(path)
    return None if text is None else as_integer(text, base)


def read_table(path: Path, separator: str = ":") -> dict[str, str]:
    """Lines of `key separator value`; empty where the file is absent or refuses."""
    pairs = (line.partition(separator) for line in (read_text(path) or "").splitlines())
    return {key.strip(): value.strip() for key, found, value in pairs if found}


def as_integer(text: str, base: int = 10) -> int | None:
    """The number that `text` states, or None."""
    try:
        return int(text, base)
    except ValueError:
        return None


def as_number(text: str) -> float | None:
    """The finite number that `text` states, or None."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
