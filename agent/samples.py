"""Raw samples that stay on the box, for whoever wants to look at them again."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

from agent.logs import fields
from agent.sweep import Finished
from contract.benchmark import MAX_SAMPLES
from contract.files import write_atomically

_log = logging.getLogger(__name__)

_LIMIT_BYTES = 64_000_000
_SUFFIX = ".txt.gz"


class SampleArchive:
    """A folder with the latencies of each run that has more of them than a message takes.

    One file a run, `RUN_ID.txt.gz`: a latency in ms a line, in the order measured.

    Args:
        folder: made when it is first needed.
        limit_bytes: of all files together; beyond it the oldest go.
    """

    def __init__(self, folder: Path, *, limit_bytes: int = _LIMIT_BYTES) -> None:
        self._folder = folder
        self._limit_bytes = limit_bytes

    def keep(self, finished: Finished) -> None:
        """Keep the samples of a run, where its result does not carry them all."""
        if len(finished.samples_ms) <= MAX_SAMPLES:
            return
        lines = "".join(f"{sample_ms:.6g}\n" for sample_ms in finished.samples_ms)
        path = self._folder / f"{finished.run.run_id}{_SUFFIX}"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # Whole or absent, but not at any price: the result itself is in the outbox.
            write_atomically(path, gzip.compress(lines.encode()))
            self._forget_oldest()
        except OSError as error:
            _log.warning("samples_not_kept", extra=fields(path=path, error=error))

    def _forget_oldest(self) -> None:
        files = sorted(
            self._folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime_ns, reverse=True
        )
        total = 0
        for path in files:
            total += path.stat().st_size
            if total > self._limit_bytes:
                path.unlink()
