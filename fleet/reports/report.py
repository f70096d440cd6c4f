"""The documents behind `--json`: flat, with units in the names."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from contract.benchmark import RunStatus
from contract.messages import Desired, Inventory, Presence
from fleet.choosing.decision import Binding, Status, Verdict
from fleet.choosing.explanation import Explanation, assessment_words, explain, reason
from fleet.choosing.terms import Violation
from fleet.reports.identity import identity_words
from fleet.store.distribution import RunDistribution
from fleet.store.evidence import StoredRun
from fleet.store.history import Arrival
from fleet.store.identity import Identity, IdentityStatus
from fleet.store.recommendation import Recommendation
from fleet.store.roster import Completeness, Device

#: Instead of a phase: the device told nothing yet of the generation that it shall follow.
PENDING = "pending"


class DeviceReport(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `devices`."""

    site: str
    device: str
    presence: Presence | None
    last_seen_at: float | None
    results: int
    complete: bool
    missing: int
    quarantined: int
    #: By whoever put it there: the agent's configuration, or an operator.
    groups: list[str]
    #: Whether one box with one outbox goes by this name, and if not, what was seen.
    identity: IdentityStatus
    identity_reason: str | None
    active_variant: str | None
    desired_variant: str | None
    desired_generation: int | None
    phase: str | None
    phase_reason: str | None
    inventory: Inventory | None


class RecommendationReport(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `recommendations`; figures are those of `variant`, None without one."""

    site: str
    device: str
    policy: str
    status: Status
    variant: str | None
    threads: int | None
    sha256: str | None
    reason: str
    p50_ms: float | None
    p95_ms: float | None
    peak_rss_bytes: int | None
    bytes: int | None
    top1: float | None
    top1_drop: float | None
    speedup: float | None
    violated: list[Violation]
    runner_up: str | None
    constraints: list[str]
    objectives: list[str]
    #: What the policy asks of a run's evidence.
    evidence: list[str]
    run_id: str | None
    decision_id: int
    decided_at: float


class CandidateReport(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate of an explained decision."""

    variant: str
    threads: int
    verdict: Verdict
    why: str
    status: RunStatus
    p50_ms: float | None
    p95_ms: float | None
    peak_rss_bytes: int | None
    bytes: int
    top1: float
    top1_drop: float | None
    #: Measured on the device itself, on so many images; None where it was not.
    device_top1: float | None
    device_top3: float | None
    device_images: int | None
    speedup: float | None


class ExplanationReport(msgspec.Struct, frozen=True, kw_only=True):
    """The document of `explain`."""

    recommendation: RecommendationReport
    explanation: Explanation
    binding: list[Binding]
    candidates: list[CandidateReport]


class ResultReport(msgspec.Struct, frozen=True, kw_only=True):
    """Where and when a run was stored; the run's own fields stand beside these."""

    site: str
    device: str
    epoch: str
    seq: int
    received_at: float
    current: bool


def report_device(
    device: Device,
    completeness: Completeness,
    desired: Desired | None,
    identity: Identity,
    groups: list[str],
) -> DeviceReport:
    """Row of one device."""
    progress = device.progress
    followed = progress.generation if progress else 0
    is_pending = desired is not None and followed < desired.generation
    return DeviceReport(
        site=device.site,
        device=device.device,
        presence=device.presence,
        last_seen_at=device.last_seen_at,
        results=completeness.results,
        complete=completeness.missing == 0,
        missing=completeness.missing,
        quarantined=completeness.quarantined,
        groups=groups,
        identity=identity.status,
        identity_reason=identity_words(device.name, identity),
        active_variant=progress.active_variant if progress else None,
        desired_variant=desired.variant if desired else None,
        desired_generation=desired.generation if desired else None,
        phase=PENDING if is_pending else progress.phase.value if progress else None,
        phase_reason=progress.reason if progress and not is_pending else None,
        inventory=device.inventory,
    )


def report_recommendation(one: Recommendation) -> RecommendationReport:
    """Row of one recommendation."""
    pick, outcome, terms = one.pick, one.outcome, one.evidence.terms
    return RecommendationReport(
        site=one.evidence.site,
        device=one.evidence.device,
        policy=terms.policy,
        status=outcome.status,
        variant=pick.variant if pick else None,
        threads=pick.threads if pick else None,
        sha256=pick.sha256 if pick else None,
        reason=reason(one.evidence, outcome),
        p50_ms=pick.p50_ms if pick else None,
        p95_ms=pick.p95_ms if pick else None,
        peak_rss_bytes=pick.peak_rss_bytes if pick else None,
        bytes=pick.bytes if pick else None,
        top1=pick.top1 if pick else None,
        top1_drop=pick.top1_drop if pick else None,
        speedup=pick.speedup if pick else None,
        violated=list(outcome.violated),
        runner_up=outcome.runner_up.variant if outcome.runner_up else None,
        constraints=[str(constraint) for constraint in terms.constraints],
        objectives=[str(objective) for objective in terms.objectives],
        evidence=[str(demand) for demand in terms.asked],
        run_id=pick.run_id if pick else None,
        decision_id=one.id,
        decided_at=one.decided_at,
    )


def report_explanation(one: Recommendation) -> ExplanationReport:
    """Document of one explained decision."""
    return ExplanationReport(
        recommendation=report_recommendation(one),
        explanation=explain(one.evidence, one.outcome),
        binding=list(one.outcome.binding),
        candidates=[
            CandidateReport(
                variant=assessment.ref.variant,
                threads=assessment.ref.threads,
                verdict=assessment.verdict,
                why=assessment_words(assessment),
                status=candidate.status,
                p50_ms=candidate.p50_ms,
                p95_ms=candidate.p95_ms,
                peak_rss_bytes=candidate.peak_rss_bytes,
                bytes=candidate.bytes,
                top1=candidate.top1,
                top1_drop=candidate.top1_drop,
                device_top1=candidate.device_top1,
                device_top3=candidate.device_top3,
                device_images=candidate.device_images,
                speedup=candidate.speedup,
            )
            for assessment in one.outcome.assessments
            for candidate in [one.evidence.candidate(assessment.ref)]
        ],
    )


def report_result(
    device: Device,
    stored: StoredRun,
    distributions: Mapping[tuple[str, int], RunDistribution] | None = None,
) -> dict[str, object]:
    """Flat document of one stored run; raw samples are left out.

    Args:
        device: whose it is.
        stored: the run.
        distributions: by outbox and place, to put that of the run beside it; None leaves it out.
    """
    return _flat(device.site, device.device, stored, distributions)


def report_arrival(stored: Arrival) -> dict[str, object]:
    """The same document, of a run that a page of the whole fleet's holds."""
    return _flat(stored.site, stored.device, stored, None)


def _flat(
    site: str,
    device: str,
    stored: StoredRun | Arrival,
    distributions: Mapping[tuple[str, int], RunDistribution] | None,
) -> dict[str, object]:
    where = ResultReport(
        site=site,
        device=device,
        epoch=stored.epoch,
        seq=stored.seq,
        received_at=stored.received_at,
        current=stored.current,
    )
    run = msgspec.to_builtins(stored.run)
    run.pop("samples_ms", None)
    document = {**msgspec.to_builtins(where), **run}
    if distributions is not None:
        known = distributions.get((stored.epoch, stored.seq))
        document["samples_kept"] = known.kept if known else None
        document["distribution"] = known.distribution if known else None
    return document
