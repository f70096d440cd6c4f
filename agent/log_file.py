"""A log file of the agent's own, which stays within a bound."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

from agent.errors import ConfigError

#: Weeks of an agent that goes on as it should; two of them fit on any disk that holds torch.
LIMIT_BYTES = 5_000_000
_MODE = 0o600
_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2


class LogFileHandler(logging.Handler):
    """Writes records to a file that is begun anew when it is full; one older part stays.

    Standard output and error lead there too, so that the file has what the agent's processes and
    libraries say. They hold it open, so it is copied and cut, and never renamed: all of them
    append to it.

    Args:
        path: the file; its owner alone may read it.
        limit_bytes: where it is begun anew.

    Raises:
        ConfigError: it cannot be written.
    """

    def __init__(self, path: Path, *, limit_bytes: int = LIMIT_BYTES) -> None:
        super().__init__()
        self._path = path
        self._limit_bytes = limit_bytes
        try:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(path, flags, _MODE)
            os.fchmod(self._descriptor, _MODE)
        except OSError as error:
            message = f"log_file {path}: {error.strerror}; name a file that the agent may write"
            raise ConfigError(message) from error
        for standard in (_STANDARD_OUTPUT, _STANDARD_ERROR):
            os.dup2(self._descriptor, standard)
        self._keep_within_bound()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        # A full disk stops no agent, and there is no other place to say so.
        with contextlib.suppress(OSError):
            os.write(self._descriptor, f"{self.format(record)}\n".encode(errors="replace"))
            self._keep_within_bound()

    def close(self) -> None:
        """Close the file; what leads there by standard output and error goes on."""
        with contextlib.suppress(OSError):
            os.close(self._descriptor)
        super().close()

    def _keep_within_bound(self) -> None:
        if os.fstat(self._descriptor).st_size <= self._limit_bytes:
            return
        older = self._path.with_name(f"{self._path.name}.1")
        part = older.with_name(f"{older.name}.part")
        # What did not fit into the older part is worth less than a disk with room.
        with contextlib.suppress(OSError):
            target = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
            with os.fdopen(target, "wb") as copy, self._path.open("rb") as log:
                # One that grew without bound before keeps its end.
                log.seek(max(0, os.fstat(log.fileno()).st_size - 2 * self._limit_bytes))
                shutil.copyfileobj(log, copy)
            part.replace(older)
        os.ftruncate(self._descriptor, 0)
