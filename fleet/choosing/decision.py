"""A choice for one device: what went in, what came out."""

from __future__ import annotations

import enum

import msgspec

from fleet.choosing.candidate import Candidate
from fleet.choosing.terms import Terms, Violation


class Status(enum.StrEnum):
    """How a choice ended."""

    CHOSEN = "chosen"
    NEAREST_MISS = "nearest-miss"
    NO_DATA = "no-data"


class Verdict(enum.StrEnum):
    """What became of one candidate."""

    CHOSEN = "chosen"
    FEASIBLE = "feasible"
    DOMINATED = "dominated"
    INFEASIBLE = "infeasible"
    FAILED = "failed"
    #: The run ended well, but holds less evidence than the policy asks for.
    INSUFFICIENT = "insufficient"


class Ref(msgspec.Struct, frozen=True, order=True):
    """One variant at one thread count."""

    variant: str
    threads: int

    def __str__(self) -> str:
        """Render the way people read it."""
        return f"{self.variant} at {self.threads} thread{'' if self.threads == 1 else 's'}"


class Incumbent(msgspec.Struct, frozen=True):
    """The present choice; the hash keeps a rebuilt variant from passing for the old one."""

    ref: Ref
    sha256: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that a choice depends on."""

    site: str
    device: str
    terms: Terms
    #: Latest run of each variant and thread count, in the current bundle set and environment.
    candidates: tuple[Candidate, ...]
    #: Stored runs that are not current: another bundle set or another environment.
    stale_runs: int
    incumbent: Incumbent | None = None

    def candidate(self, ref: Ref) -> Candidate:
        """Return the candidate that `ref` names; it must be one of these."""
        return next(one for one in self.candidates if ref_of(one) == ref)


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """Verdict on one candidate, and why."""

    ref: Ref
    verdict: Verdict
    violations: tuple[Violation, ...] = ()
    #: Why the run does not count, of a failed or insufficient one.
    failure: str | None = None
    dominated_by: Ref | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One objective at work: of `considered`, only `kept` are as good as `best`."""

    objective: str
    best: Ref
    considered: tuple[Ref, ...]
    kept: tuple[Ref, ...]


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that decides: without it alone, `instead` would be picked."""

    constraint: str
    origin: str
    instead: Ref


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A choice. With NEAREST_MISS `pick` breaks `violated`; with NO_DATA it is None."""

    status: Status
    pick: Ref | None = None
    violated: tuple[Violation, ...] = ()
    assessments: tuple[Assessment, ...] = ()
    steps: tuple[Step, ...] = ()
    #: Best of the other variants that fit.
    runner_up: Ref | None = None
    binding: tuple[Binding, ...] = ()
    #: What the objectives alone would pick, where the present choice was kept instead.
    challenger: Ref | None = None


def ref_of(candidate: Candidate) -> Ref:
    """Name of a candidate."""
    return Ref(candidate.variant, candidate.threads)
