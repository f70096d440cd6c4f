"""What was seen of one variant in one fresh process."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TypeVar

from agent.protocol import Event, Loaded, Measured
from agent.supervisor import Outcome
from contract.benchmark import Conditions, RunStatus

_MEGABYTE = 1e6

Kind = TypeVar("Kind", bound=Event)
#: A variant at a thread count.
Key = tuple[str, int]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One turn of a variant at one thread count; the journal keeps it until the sweep ends."""

    threads: int
    started_at: float
    duration_s: float
    before: Conditions
    after: Conditions
    #: How the worker ended, or None where the file was not fit to be loaded.
    outcome: Outcome | None
    damage: str | None = None
    notes: list[str] = field(default_factory=list)

    def told(self, kind: type[Kind]) -> Kind | None:
        """Last event of a kind that the worker sent, or None."""
        return self.outcome.last_event(kind) if self.outcome else None

    @property
    def measured(self) -> Measured | None:
        """Figures of a measurement that went well, else None."""
        is_well = self.outcome is not None and self.outcome.status is RunStatus.OK
        return self.told(Measured) if is_well else None

    @property
    def p50_ms(self) -> float | None:
        """Median latency, where it was measured."""
        return statistics.median(self.measured.settled_ms) if self.measured else None

    @property
    def peak_rss_bytes(self) -> int | None:
        """Peak since the load, by the kernel; else the most that was seen from outside."""
        measured = self.told(Measured)
        if measured is not None and measured.peak_rss_bytes is not None:
            return max(measured.peak_rss_bytes, measured.steady_rss_bytes)
        return (self.outcome and self.outcome.seen_rss_bytes) or None

    def verdict(self, limit_bytes: int | None) -> tuple[RunStatus, str | None]:
        """Status and reason; a peak over the limit counts, even if nobody looked just then."""
        if self.outcome is None:
            return RunStatus.DAMAGED, self.damage
        peak_bytes = self.peak_rss_bytes or 0
        is_well = self.outcome.status is RunStatus.OK
        if is_well and limit_bytes is not None and peak_bytes > limit_bytes:
            reason = (
                f"peaked at {peak_bytes / _MEGABYTE:.0f} MB, "
                f"over its limit of {limit_bytes / _MEGABYTE:.0f} MB"
            )
            return RunStatus.OOM, reason
        return self.outcome.status, self.outcome.reason

    @property
    def remarks(self) -> list[str]:
        """What was odd about this turn."""
        loaded = self.told(Loaded)
        found = list(self.notes)
        if self.after.throttled:
            found.append("throttled during the run")
        if loaded is not None and not loaded.peak_was_reset:
            found.append("peak memory includes the start: this kernel does not reset VmHWM")
        if loaded is not None and loaded.affinity_problem is not None:
            found.append(loaded.affinity_problem)
        return found


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A turn that was taken; `number` counts the turns of the same variant and threads from 1."""

    key: Key
    number: int
    observation: Observation
