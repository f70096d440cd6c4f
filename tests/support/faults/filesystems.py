"""Real file systems that fill up and turn read-only."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_PAGE_BYTES = 4096


@dataclass(frozen=True)
class SmallDisk:
    """A file system with little space, whose free space a test decides."""

    path: Path

    def leave(self, pages: int) -> None:
        """Fill the disk until this many pages of 4 KiB are free."""
        with (self.path / "ballast").open("ab") as ballast:
            while True:
                disk = os.statvfs(self.path)
                free = disk.f_bavail * disk.f_frsize // _PAGE_BYTES
                try:
                    os.posix_fallocate(ballast.fileno(), 0, max(1, free - pages) * _PAGE_BYTES)
                except OSError as error:
                    # Somebody else took of the room meanwhile: there is less to fill.
                    if error.errno != errno.ENOSPC or free <= pages:
                        raise
                else:
                    return

    def free(self) -> None:
        """Remove what fills it."""
        (self.path / "ballast").unlink(missing_ok=True)


@dataclass(frozen=True)
class FailingDisk:
    """An ext4 file system in a file; the kernel turns it read-only at its first error."""

    path: Path
    device: str

    def fail(self) -> None:
        """Let the kernel find an error, as it does on a dying card."""
        trigger = Path("/sys/fs/ext4") / Path(self.device).name / "trigger_fs_error"
        trigger.write_text("1")

    def repair(self) -> None:
        """Check the disk and mount it again; nothing may use it."""
        _run("umount", str(self.path))
        # 1 means that errors were corrected.
        _run("e2fsck", "-p", "-f", self.device, accept=(0, 1))
        _run("mount", "-o", "errors=remount-ro", self.device, str(self.path))


@contextlib.contextmanager
def small_disk(folder: Path, *, size_bytes: int) -> Iterator[SmallDisk]:
    """Mount a tmpfs; skips the test where this box does not allow that."""
    folder.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(folder))
    try:
        yield SmallDisk(folder)
    finally:
        _run("umount", "-l", str(folder))


@contextlib.contextmanager
def failing_disk(folder: Path) -> Iterator[FailingDisk]:
    """Mount an ext4 file system from a file; skips the test where this box does not allow that."""
    folder.mkdir()
    image = folder.with_suffix(".ext4")
    with image.open("wb") as file:
        file.truncate(8 << 20)
    if not _is_done("mkfs.ext4", "-q", str(image)):
        pytest.skip("mkfs.ext4 is not installed")
    _mount("-o", "loop,errors=remount-ro", str(image), str(folder))
    device = _run("findmnt", "-no", "SOURCE", str(folder)).strip()
    # Kept by us, for it goes with its mount otherwise.
    holder = os.open(device, os.O_RDONLY)
    try:
        yield FailingDisk(folder, device)
    finally:
        _is_done("umount", "-l", str(folder))
        os.close(holder)


def _mount(*words: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    if not _is_done("mount", *words):
        pytest.skip("this box does not let root mount a file system")


def _run(*words: str, accept: tuple[int, ...] = (0,)) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode in accept, f"{words}: {done.stderr}"
    return done.stdout


def _is_done(*words: str) -> bool:
    try:
        return subprocess.run(words, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
