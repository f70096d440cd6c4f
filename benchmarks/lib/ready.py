"""Programs that say `ready` when they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

from builder.errors import BuilderError


def await_ready(process: subprocess.Popen[str], log: Path) -> None:
    """Wait until a program said that it is ready, in a line that begins with that word.

    Raises:
        BuilderError: it says something else, or ended; the message has its log.
    """
    line = process.stdout.readline() if process.stdout else ""
    if not line.startswith("ready"):
        message = f"the collector does not start: {log.read_text()}"
        raise BuilderError(message)
