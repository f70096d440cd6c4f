"""What the timing worker is asked and answers: one JSON document a line."""

from __future__ import annotations

import enum

import msgspec


class Preparation(enum.StrEnum):
    """What was done to a loaded network before it ran; the ADR on unfrozen bundles has why."""

    AS_BUILT = "as-built"
    FROZEN = "frozen"
    #: Rewritten for this processor as well.
    OPTIMIZED = "optimized"


class TimingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Time the bundle at `path`, in turns with the one at `base_path` where that is another."""

    path: str
    base_path: str


class TimingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was timed, or why nothing was."""

    failure: str | None = None
    preparation: Preparation | None = None
    #: Medians of bursts, milliseconds; the same round at the same place in both.
    bursts_ms: list[float] = []
    base_bursts_ms: list[float] = []
    cpu_share: float = 0.0
