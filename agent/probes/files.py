"""Small files of `/sys` and `/proc`, read so that absence is no failure."""

from __future__ import annotations

from pathlib import Path

_INTEGER_BOUND = 1 << 63
_COUNT_BOUND = 1 << 53


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


def read_count(path: Path) -> int | None:
    """Content as a count; None where the file is absent, refuses or holds none."""
    text = read_text(path)
    return None if text is None else as_count(text)


def read_table(path: Path, separator: str = ":") -> dict[str, str]:
    """Lines of `key separator value`; empty where the file is absent or refuses."""
    pairs = (line.partition(separator) for line in (read_text(path) or "").splitlines())
    return {key.strip(): value.strip() for key, found, value in pairs if found}


def as_integer(text: str, base: int = 10) -> int | None:
    """The number that `text` states, or None; the kernel's own have 64 bits at most."""
    try:
        number = int(text, base)
    except ValueError:
        return None
    return number if -_INTEGER_BOUND <= number < _INTEGER_BOUND else None


def as_count(text: str) -> int | None:
    """The count that `text` states, or None; within what every reader of JSON holds exactly."""
    number = as_integer(text)
    return number if number is not None and 0 <= number < _COUNT_BOUND else None


def as_number(text: str) -> float | None:
    """The number that `text` states, or None; beyond counts no sensor of a box goes either."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < _COUNT_BOUND else None
