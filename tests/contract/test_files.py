"""Files appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.files import expect_writable, replacing, write_atomically


def test_a_written_file_replaces_the_old_one_and_leaves_no_scratch(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    write_atomically(path, b"old")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_keeps_the_old_file_and_leaves_no_scratch(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    write_atomically(path, b"old")

    def fail_halfway() -> None:
        with replacing(path) as scratch:
            scratch.write_bytes(b"half")
            raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        fail_halfway()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "set.json"
    write_atomically(path, b"old")
    with (
        pytest.raises(OSError, match="No space left"),
        replacing(path),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"half")
    assert path.read_bytes() == b"old"


def test_a_folder_that_can_be_written_is_made_and_left_empty(tmp_path: Path) -> None:
    expect_writable(tmp_path / "a" / "b")

    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_where_no_file_can_be_made_the_folder_is_named_and_no_scratch_file() -> None:
    with pytest.raises(OSError, match=r"/proc'?$") as caught:
        expect_writable(Path("/proc"))

    assert caught.value.filename == "/proc"
