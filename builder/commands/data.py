"""What `--data` names: a folder, or a data set that is fetched once."""

from __future__ import annotations

import os
from pathlib import Path

from builder.commands.endings import errors_reported
from builder.progress_bar import ProgressBar
from edgewright.console import Console


def data_folder(name_or_path: Path, console: Console) -> Path:
    """Folder behind `--data`; a known data set is fetched where it is not here yet."""
    with errors_reported(), ProgressBar(console) as progress:
        from builder.data.sources import cache_folder, locate_data  # noqa: PLC0415 - imports torch

        return locate_data(str(name_or_path), cache=cache_folder(os.environ), progress=progress)
