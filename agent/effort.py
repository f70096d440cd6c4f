"""How long each variant is measured, and in how many processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.protocol import Bench, Examination, Preparation, Sustained
from contract.settings import (
    DEFAULT_EVALSET_SECONDS,
    DEFAULT_MAX_MINUTES,
    DEFAULT_MIN_RUNS,
    DEFAULT_MIN_SECONDS,
    DEFAULT_ROUNDS,
    Mode,
)

_SECONDS_PER_MINUTE = 60.0


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How long a variant is measured, and in how many fresh processes."""

    mode: Mode = Mode.QUICK
    #: Quick: each process measures until both its time and its count are reached.
    min_seconds: float = DEFAULT_MIN_SECONDS
    min_runs: int = DEFAULT_MIN_RUNS
    #: Quick: fresh processes for each variant, spread over the sweep. Two tell how well the box
    #: repeats itself, all variants taken together; starting them is what takes long.
    rounds: int = DEFAULT_ROUNDS
    #: Sustained: one process measures until the latency has settled, at most so long ...
    max_seconds: float = DEFAULT_MAX_MINUTES * _SECONDS_PER_MINUTE
    #: ... with a look at heat and trend after each window.
    window_s: float = 5.0
    #: Once in a sweep, after the timing: accuracy on the set's evaluation set, at most so long;
    #: 0 leaves it out.
    evalset_seconds: float = DEFAULT_EVALSET_SECONDS

    @property
    def processes(self) -> int:
        """Fresh processes for each variant."""
        return self.rounds if self.mode is Mode.QUICK else 1

    def task(
        self,
        path: Path,
        *,
        threads: int,
        preparation: Preparation,
        examination: Examination | None = None,
    ) -> Bench:
        """What a worker is to do."""
        sustained = Sustained(max_seconds=self.max_seconds, window_s=self.window_s)
        return Bench(
            threads=threads,
            bundle=str(path),
            preparation=preparation,
            min_seconds=self.min_seconds,
            min_runs=self.min_runs,
            sustained=sustained if self.mode is Mode.SUSTAINED else None,
            examination=examination,
        )
