"""Seconds that each bundle took to build, kept beside the set for later runs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from builder.outcome import Outcome, Status


class BuildTimes:
    """Build seconds of variants, by the hash of what they were built from."""

    def __init__(self, file: Path) -> None:
        """Keep them in `file`, which may not be there yet."""
        self._file = file
        self._seconds: dict[str, float] = {}
        if file.exists():
            self._seconds = msgspec.json.decode(file.read_bytes(), type=dict[str, float])

    def of(self, inputs_sha256: str) -> float | None:
        """Seconds of a variant's build; None where nobody stopped them."""
        return self._seconds.get(inputs_sha256)

    def watched(self, outcomes: Iterable[Outcome]) -> Iterator[Outcome]:
        """Yield `outcomes`, stopping the time that each took to come.

        What several variants share (pruning and its tuning) is in the time of the first one.
        """
        started = time.monotonic()
        for outcome in outcomes:
            if outcome.status is Status.BUILT and outcome.manifest is not None:
                key = outcome.manifest.provenance.inputs_sha256
                self._seconds[key] = time.monotonic() - started
                self._file.write_bytes(msgspec.json.encode(self._seconds))
            yield outcome
            started = time.monotonic()
