"""What a report is made from, on disk."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from builder.report.sources import readable_rows
from contract.bundleset import BundleSet, Member


def test_bundles_that_cannot_be_read_are_logged_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x.pt").write_bytes(b"no bundle")
    member = Member(variant="x", file="x.pt", bytes=9, sha256="0" * 64)

    with caplog.at_level(logging.WARNING):
        rows = readable_rows(tmp_path, BundleSet(baseline="x", members=[member]))

    assert rows == []
    assert "variant=x" in caplog.text
