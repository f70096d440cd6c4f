"""A report's three files: for eyes, for programs, for spreadsheets."""

from __future__ import annotations

from pathlib import Path

import msgspec

from builder.report.document import Report
from builder.report.page import render
from builder.report.variant_table import as_csv
from contract.files import write_atomically

PAGE_NAME = "report.html"
JSON_NAME = "report.json"
CSV_NAME = "report.csv"


def write_report(folder: Path, report: Report) -> Path:
    """Write the report's files into `folder` and return the path of its page.

    Raises:
        OSError: the disk is full or the folder cannot be written; older files stay whole.
    """
    page = render(report)
    content = msgspec.json.format(msgspec.json.encode(report), indent=2)
    write_atomically(folder / JSON_NAME, content + b"\n")
    write_atomically(folder / CSV_NAME, as_csv(report).encode())
    write_atomically(folder / PAGE_NAME, page.encode())
    return folder / PAGE_NAME
