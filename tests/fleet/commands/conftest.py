"""A place for commands of the fleet where nothing is this user's own."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def authority_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the authority that does not exist yet; the working folder is beside it."""
    folder = tmp_path / "authority"
    monkeypatch.setenv("EDGEWRIGHT_AUTHORITY", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder
