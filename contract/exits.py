"""Exit codes of the three commands."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """What a command's exit status says to the shell."""

    DONE = 0
    FAILED = 1
    WRONG_USE = 2
