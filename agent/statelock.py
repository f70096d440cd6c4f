"""Keeps two agents from sharing one state folder."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from agent.errors import JournalError
from contract.files import make_folder
from edgewright.private_files import create_private

_NAME = "agent.lock"


def hold_state_dir(folder: Path) -> IO[bytes]:
    """Hold a state folder until the returned file is closed, or this process ends.

    Raises:
        JournalError: the folder cannot be made, or another agent holds it.
    """
    try:
        make_folder(folder)
        # Whoever may read a file may hold it.
        create_private(folder / _NAME)
        file = (folder / _NAME).open("ab")
    except OSError as error:
        message = f"{folder}: {error.strerror}; check state_dir"
        raise JournalError(message) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        message = f"{folder}: another agent uses it; stop that one, or give another state_dir"
        raise JournalError(message) from error
    return file
