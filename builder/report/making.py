"""A report on a bundle set, from reading it to the page on the disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from builder.measuring.timing import time_set
from builder.progress import Progress
from builder.report.document import Report, make_report
from builder.report.sources import readable_rows
from builder.report.writer import write_report
from builder.studies.store import StudyStore
from builder.workspace import Workspace
from contract.bundleset import read_set
from contract.errors import BundleDamagedError


@dataclass(frozen=True, kw_only=True)
class WrittenReport:
    """A report, where its page stands, and how many bundles it had to leave out."""

    report: Report
    page: Path
    damaged: int


def report_on(
    folder: Path,
    *,
    timing: bool,
    fresh: bool,
    made_at: datetime,
    progress: Progress,
) -> WrittenReport:
    """Write report.html, report.json and report.csv into the bundle set in `folder`.

    Args:
        folder: the bundle set.
        timing: whether to time its variants here; else work stands in for time.
        fresh: whether to time again what was timed here before.
        made_at: the present time.
        progress: told of each variant that is timed.

    Raises:
        BundleDamagedError: no readable `set.json`, or not one readable bundle.
        OSError: the folder or the workspace beside it cannot be written.
    """
    bundle_set = read_set(folder)
    rows = readable_rows(folder, bundle_set)
    if not rows:
        message = f"{folder}: expected at least one readable bundle, got none; build it again"
        raise BundleDamagedError(message)
    workspace = Workspace.beside(folder)
    report = make_report(
        folder.resolve().name,
        bundle_set,
        rows,
        timings=time_set(folder, workspace=workspace, progress=progress, fresh=fresh)
        if timing
        else {},
        studies=StudyStore(workspace.studies).everything(),
        made_at=made_at,
    )
    return WrittenReport(
        report=report,
        page=write_report(folder, report),
        damaged=len(bundle_set.members) - len(rows),
    )
