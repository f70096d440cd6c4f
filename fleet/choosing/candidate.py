"""One variant at one thread count on one device, as it was last measured there."""

from __future__ import annotations

import msgspec

from contract.benchmark import BenchRun, RunStatus
from contract.interval import Interval
from fleet.choosing.build import Build, build_of


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """How a run was made and came to be known, for policies that ask for evidence."""

    #: By the fleet's clock, the only one that can be trusted: boxes may start in 1970.
    received_at: float
    #: Whether it was older than the policy takes at the time of the decision.
    is_expired: bool = False
    #: Fresh processes that the samples came from; None where the run does not say.
    processes: int | None


class Candidate(Build, frozen=True, kw_only=True):
    """A build at one thread count, with the figures of its latest current run."""

    threads: int
    run_id: str
    status: RunStatus
    #: Why the run failed; None where it did not.
    reason: str | None = None
    #: None where the golden vectors were not compared.
    golden_ok: bool | None = None

    n: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    ci_low_ms: float | None = None
    ci_high_ms: float | None = None
    #: From the raw samples, where there were enough.
    p95_interval_ms: Interval | None = None
    load_ms: float | None = None
    first_ms: float | None = None
    energy_mj: float | None = None
    speedup: float | None = None

    peak_rss_bytes: int | None = None
    #: Measured on the device itself, where it was; choosing goes by the builder's, which is of
    #: more images.
    device_top1: float | None = None
    device_top3: float | None = None
    device_images: int | None = None
    notes: list[str] = msgspec.field(default_factory=list)
    #: None where only the run is known, and not how it came here.
    provenance: Provenance | None = None

    @property
    def name(self) -> str:
        """Variant and threads, as people read it."""
        return f"{self.variant} at {self.threads} thread{'' if self.threads == 1 else 's'}"

    @property
    def failure(self) -> str | None:
        """Why this run can never be recommended; None where it can."""
        if self.status is not RunStatus.OK:
            return f"{self.status.value}: {self.reason}" if self.reason else self.status.value
        if self.golden_ok is None:
            return "its numbers were not checked against the golden vectors"
        if not self.golden_ok:
            return "its numbers differ from the golden vectors"
        missing = [
            name
            for name, value in (
                ("p50_ms", self.p50_ms),
                ("p95_ms", self.p95_ms),
                ("peak_rss_bytes", self.peak_rss_bytes),
            )
            if value is None
        ]
        return f"the run reports no {', '.join(missing)}" if missing else None


def candidate_of(
    run: BenchRun,
    p95_interval_ms: Interval | None,
    provenance: Provenance | None = None,
) -> Candidate:
    """Candidate that a run makes."""
    return Candidate(
        **msgspec.structs.asdict(build_of(run)),
        threads=run.threads,
        run_id=run.run_id,
        status=run.status,
        reason=run.reason,
        golden_ok=None if run.golden is None else run.golden.ok,
        n=run.n,
        p50_ms=run.p50_ms,
        p95_ms=run.p95_ms,
        ci_low_ms=run.ci_low_ms,
        ci_high_ms=run.ci_high_ms,
        p95_interval_ms=p95_interval_ms,
        load_ms=run.load_ms,
        first_ms=run.first_ms,
        energy_mj=run.energy_mj,
        speedup=run.speedup,
        peak_rss_bytes=run.peak_rss_bytes,
        device_top1=run.device_top1,
        device_top3=run.device_top3,
        device_images=run.device_images,
        notes=run.notes,
        provenance=provenance,
    )
