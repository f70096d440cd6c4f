"""Files that appear whole or not at all, and their hashes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

#: What a person writes: UTF-8 with a byte-order mark or without.
HANDWRITTEN = "utf-8-sig"
_CHUNK_BYTES = 1 << 20
#: For everybody to read: bundles and configurations are.
_PUBLIC = 0o644


def read_handwritten(path: Path) -> str:
    """Text of a file that a person wrote: UTF-8, where editors may put a byte-order mark first.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    return path.read_text(encoding=HANDWRITTEN)


@contextlib.contextmanager
def replacing(path: Path, *, mode: int = _PUBLIC, keeps_owner: bool = False) -> Iterator[Path]:
    """Yield a scratch path beside `path` that takes its place when the block succeeds.

    Until then only this user can read it; `mode` is what it has afterwards. The content is
    fsynced before the rename and the folder after it, so a power cut leaves the old file or
    the new one. On any exception the scratch file is removed and the old
    file stays.

    With `keeps_owner` the new file belongs to whom the old one did, or else the folder, where
    this user may give files away (root): for files that were made for another program.

    Raises:
        OSError: the disk is full or the folder cannot be written.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    scratch = Path(name)
    try:
        yield scratch
        with scratch.open("rb+") as file:
            if keeps_owner:
                _take_owner_of(path, scratch)
            scratch.chmod(mode)
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _take_owner_of(path: Path, scratch: Path) -> None:
    with contextlib.suppress(FileNotFoundError, PermissionError):
        before = (path if path.exists() else path.parent).lstat()
        os.chown(scratch, before.st_uid, before.st_gid)


def make_folder(folder: Path) -> None:
    """Make `folder` and those above it where they are missing, so that a power cut leaves them.

    What is synced in a folder is lost all the same while the folder's own name is not.

    Raises:
        OSError: one of them is a file, or cannot be made.
    """
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in missing:
        _sync_folder(one.parent)


def expect_writable(folder: Path) -> None:
    """Make `folder` where it is not there, and see that files can be made in it.

    For asking before work of hours, not after it.

    Raises:
        OSError: it is no folder, or nothing can be written there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        # The name of the scratch file says nothing to anybody.
        raise OSError(error.errno, error.strerror, str(folder)) from error


def write_atomically(
    path: Path, content: bytes, *, mode: int = _PUBLIC, keeps_owner: bool = False
) -> None:
    """Write `content` to `path` so that a reader sees the old file or the new one."""
    with replacing(path, mode=mode, keeps_owner=keeps_owner) as scratch:
        scratch.write_bytes(content)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hexadecimal digits, read in chunks."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
