"""What the agent's benchmark found, as one document; each section brings its own tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from rich.table import Table

from benchmarks.lib.processor import Processor
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


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one section found: `document` for programs, tables and remarks for people."""

    document: msgspec.Struct
    tables: list[Table]
    remarks: list[str] = field(default_factory=list)


Section = Callable[[Occasion], Finding]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the benchmark."""

    started_at: str
    processor: Processor
    versions: dict[str, str]
    #: By name of the section.
    sections: dict[str, msgspec.Struct]
