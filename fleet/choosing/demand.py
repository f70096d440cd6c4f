"""How much evidence a policy asks for before a run counts."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from fleet.choosing.candidate import Candidate

SECONDS_PER_DAY = 86_400.0


class Evidential(enum.StrEnum):
    """What can be asked of a run's evidence, by the names that policies use."""

    MIN_SAMPLES = "min_samples"
    MIN_PROCESSES = "min_processes"
    MAX_AGE_DAYS = "max_age_days"
    MAX_INTERVAL = "max_interval"
    MIN_ACCURACY_IMAGES = "min_accuracy_images"

    @property
    def is_count(self) -> bool:
        """Whether it is a whole number; such are lower bounds."""
        return self.value.startswith("min_")

    @property
    def remedy(self) -> str:
        """What a person does about a run that falls short."""
        return _REMEDIES[self]


_REMEDIES = {
    Evidential.MIN_SAMPLES: "measure longer (min_seconds or min_runs in agent.toml)",
    Evidential.MIN_PROCESSES: "measure in more processes (rounds in agent.toml)",
    Evidential.MAX_AGE_DAYS: "measure again (rebench_hours in agent.toml has the box do it)",
    Evidential.MAX_INTERVAL: "measure longer or in more processes (min_seconds, rounds)",
    Evidential.MIN_ACCURACY_IMAGES: "build the bundles with more validation images",
}


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """One thing asked of the evidence; `origin` says which part of the policy asks."""

    kind: Evidential
    limit: float
    origin: str

    def __str__(self) -> str:
        """Render as it is written in a policy."""
        return f"{self.kind.value} = {self.limit:g}"

    @property
    def asks_nothing(self) -> bool:
        """Whether every run meets it: at least 0, or at most anything."""
        return self.limit == 0 if self.kind.is_count else math.isinf(self.limit)

    def is_met(self, candidate: Candidate) -> bool:
        """Whether a run has this much; what it does not say, it has not.

        Age was judged by the time of the decision (see `judged`): a stored decision has to
        come out the same whenever it is replayed.
        """
        match self.kind:
            case Evidential.MAX_AGE_DAYS:
                return not _is_expired(candidate)
            case Evidential.MAX_INTERVAL:
                width = interval_share(candidate)
                return width is not None and width <= self.limit
            case _:
                count = _count(self.kind, candidate)
                return count is not None and count >= self.limit

    def shortfall(self, candidate: Candidate) -> str | None:
        """What is missing, in words; None where nothing is."""
        if self.is_met(candidate):
            return None
        asker = "the policy" if self.origin == "policy" else f"the policy, for {self.origin},"
        match self.kind:
            case Evidential.MAX_AGE_DAYS:
                words = f"received {_date(candidate)}; {asker} takes none older than"
                return f"{words} {self.limit:g} day{'' if self.limit == 1 else 's'}"
            case Evidential.MAX_INTERVAL:
                width = interval_share(candidate)
                has = (
                    "the median has no interval"
                    if width is None
                    else f"the median's interval is {width * 100:.3g} % wide"
                )
                return f"{has}; {asker} asks for {self.limit * 100:.3g} %"
            case _:
                has = _count_words(self.kind, _count(self.kind, candidate))
                return f"{has}; {asker} asks for {self.limit:g}"


def shortfalls_of(candidate: Candidate, demands: Sequence[Demand]) -> list[str]:
    """All that a run's evidence lacks, in words."""
    found = (demand.shortfall(candidate) for demand in demands)
    return [words for words in found if words is not None]


def is_usable(candidate: Candidate, demands: Sequence[Demand]) -> bool:
    """Whether a run may be chosen at all: it ended well, and its evidence suffices."""
    return candidate.failure is None and all(one.is_met(candidate) for one in demands)


def expires_at(demands: Sequence[Demand], received_at: float) -> float:
    """Second since 1970 from which a run received then is too old; infinite where never."""
    ages = (one.limit for one in demands if one.kind is Evidential.MAX_AGE_DAYS)
    return received_at + min(ages, default=math.inf) * SECONDS_PER_DAY


def judged(candidate: Candidate, demands: Sequence[Demand], *, now: float) -> Candidate:
    """A candidate that says whether it is too old `now`; age is judged nowhere else."""
    provenance = candidate.provenance
    if provenance is None:
        return candidate
    is_expired = now >= expires_at(demands, provenance.received_at)
    return msgspec.structs.replace(
        candidate, provenance=msgspec.structs.replace(provenance, is_expired=is_expired)
    )


def interval_share(candidate: Candidate) -> float | None:
    """Width of the median's 95 % interval as a share of the median; None where unknown."""
    low, high, median = candidate.ci_low_ms, candidate.ci_high_ms, candidate.p50_ms
    if low is None or high is None or not median:
        return None
    return (high - low) / median


def _is_expired(candidate: Candidate) -> bool:
    provenance = candidate.provenance
    return provenance is not None and provenance.is_expired


def _count(kind: Evidential, candidate: Candidate) -> int | None:
    if kind is Evidential.MIN_SAMPLES:
        return candidate.n
    if kind is Evidential.MIN_ACCURACY_IMAGES:
        return candidate.accuracy_images
    provenance = candidate.provenance
    return None if provenance is None else provenance.processes


def _count_words(kind: Evidential, count: int | None) -> str:
    match kind:
        case Evidential.MIN_SAMPLES:
            return f"{count} sample{'' if count == 1 else 's'}"
        case Evidential.MIN_ACCURACY_IMAGES:
            return f"accuracy on {count} image{'' if count == 1 else 's'}"
        case _:
            if count is None:
                return "the run does not say in how many processes"
            return f"measured in {count} process{'' if count == 1 else 'es'}"


def _date(candidate: Candidate) -> str:
    provenance = candidate.provenance
    if provenance is None:
        return "at an unknown time"
    try:
        return f"{datetime.fromtimestamp(provenance.received_at, UTC):%Y-%m-%d}"
    except (OverflowError, ValueError, OSError):
        return f"at {provenance.received_at:g} s after 1970"
