"""One try of a search: a candidate and what became of it."""

from __future__ import annotations

import math

import msgspec

from builder.outcome import Status
from builder.search.candidate import Candidate


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured of a variant that was built."""

    #: Share of the images whose first answer is right.
    top1: float
    #: Median time of one inference on this host, milliseconds.
    p50_ms: float
    bytes: int
    macs: int
    #: Which images were right, as in the manifest.
    hits: str | None = None

    def fault(self) -> str | None:
        """What cannot be true of this measurement, if anything."""
        if not 0 <= self.top1 <= 1:
            return f"top1: expected a share of 0 to 1, got {self.top1}"
        if not (math.isfinite(self.p50_ms) and self.p50_ms > 0):
            return f"p50_ms: expected a time above 0, got {self.p50_ms}"
        return None


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A finished trial: its measurement, or the reason why there is none."""

    candidate: Candidate
    status: Status
    reason: str | None = None
    #: None where nothing was built.
    measurement: Measurement | None = None
    #: How long the trial took.
    seconds: float = 0.0

    def fault(self) -> str | None:
        """What cannot be true of this trial, if anything."""
        if self.measurement is not None:
            return self.measurement.fault()
        if self.status in (Status.BUILT, Status.UNCHANGED):
            return f"measurement: expected one of what was {self.status}, got none"
        return None
