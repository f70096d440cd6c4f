"""What every section of the fleet's benchmark is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.progress import Progress


@dataclass(frozen=True, kw_only=True)
class FleetOccasion:
    """A scratch folder, empty at first, how thorough to be, and where to say how far it is."""

    scratch: Path
    quick: bool
    progress: Progress
