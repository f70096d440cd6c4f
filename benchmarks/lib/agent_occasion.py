"""What every section of the agent's benchmark is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lib.findings import Finding
from builder.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Occasion:
    """What every section is given."""

    #: A bundle set that runs on this box.
    bundles: Path
    #: Folder for what the section writes; empty at first.
    scratch: Path
    quick: bool
    #: How long to look, where the section looks for a time; None for its own default.
    seconds: float | None
    progress: Progress


Section = Callable[[Occasion], Finding]
