"""`backup` and `restore`, as a person calls them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from fleet.store.database import Database
from support.commands import run_command
from support.filled_store import fill


def ask(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_command("fleet", *arguments)


def test_a_store_goes_into_a_file_and_back_and_nothing_is_overwritten(
    database: Database, store_url: str, tmp_path: Path
) -> None:
    fill(database)
    file = tmp_path / "backup.zip"
    done = ask("backup", file, "--db", store_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "9 results of 2 devices" in done.stdout
    again = ask("backup", file, "--db", store_url)
    assert (again.returncode, "--force" in again.stderr) == (1, True)
    refused = ask("restore", file, "--db", store_url)
    assert (refused.returncode, "--force" in refused.stderr) == (1, True)
    forced = ask("restore", file, "--db", store_url, "--force")
    assert forced.returncode == 0, forced.stderr
    assert "9 results of 2 devices" in forced.stdout
    aside = forced.stdout.split("the store that was there is now ")[1].strip()
    assert Path(aside).exists()


@pytest.mark.usefixtures("database")
def test_what_cannot_be_done_is_one_line(store_url: str, tmp_path: Path) -> None:
    for words in (
        ("backup", tmp_path / "none" / "backup.zip"),
        ("restore", tmp_path / "none.zip"),
        ("restore", Path(__file__)),
    ):
        done = ask(*words, "--db", store_url)
        assert (done.returncode, done.stdout) == (1, "")
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.usefixtures("database")
def test_a_folder_never_makes_room_for_a_restored_store(store_url: str, tmp_path: Path) -> None:
    file, folder = tmp_path / "backup.zip", tmp_path / "photos"
    folder.mkdir()
    assert ask("backup", file, "--db", store_url).returncode == 0
    refused = ask("restore", file, "--db", f"sqlite:///{folder}", "--force")
    assert refused.returncode == 1
    assert "expected a file, got a folder" in refused.stderr
    assert sorted(one.name for one in tmp_path.iterdir() if "photos" in one.name) == ["photos"]
