"""A report's three files."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from builder.report.document import Report
from builder.report.writer import write_report


def test_page_json_and_csv_tell_of_the_same_variants(
    make: Callable[..., Report], tmp_path: Path
) -> None:
    report = make()

    page = write_report(tmp_path, report)

    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report.csv", "report.html", "report.json",
    ]  # fmt: skip
    assert msgspec.json.decode((tmp_path / "report.json").read_bytes(), type=Report) == report
    with (tmp_path / "report.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["variant"] for row in rows] == [entry.variant for entry in report.entries]
    assert all(f'data-variant="{row["variant"]}"' in page.read_text() for row in rows)


def test_csv_columns_carry_their_units(make: Callable[..., Report], tmp_path: Path) -> None:
    write_report(tmp_path, make())

    with (tmp_path / "report.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["variant"] == "resnet18-sq8")
    assert float(row["top1_share"]) == 0.899
    assert float(row["p50_ms"]) == 8.1
    assert int(row["file_bytes"]) == 11_400_000
    assert float(row["saved_ms"]) == pytest.approx(20.0 - 8.1)
    assert int(row["saved_macs"]) == 0
