"""One user of a store that is a file: only a database server lets several write."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from edgewright.private_files import create_private
from fleet.errors import StoreBusyError, StoreError


@contextlib.contextmanager
def sole_user(url: str, path: Path | None) -> Iterator[None]:
    """Hold a store's file for one collector, or for a restore, until the block ends.

    Args:
        url: what messages call the store.
        path: its file; None where it is not one, and nothing is held.

    Raises:
        StoreBusyError: somebody else holds it.
        StoreError: this user may not hold it, or it goes by several names.
    """
    if path is None:
        yield
        return
    if path.exists() and path.stat().st_nlink > 1:
        message = (
            f"{path}: this file has several names (hard links), and SQLite keeps a log beside each "
            "of them; leave it one, or start with a backup of it"
        )
        raise StoreError(message)
    lock = Path(f"{path}.lock")
    try:
        # Whoever may read a file may hold it.
        create_private(lock)
        opened = lock.open("w")
    except OSError as error:
        message = f"{lock}: {error.strerror}; let this user write it, or name another store"
        raise StoreError(message) from error
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = (
                f"{url}: another 'edgewright-fleet serve' collects into this store; stop "
                "it, name another store with --db, or share one on PostgreSQL (--shared)"
            )
            raise StoreBusyError(message) from error
        yield
