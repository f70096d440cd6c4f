"""From what was observed of one variant to the `BenchRun` that states it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

import msgspec

from agent.bundles import Bundle, Shelf
from agent.protocol import Checked, Loaded, Measured
from agent.statistics import summarize, thin
from agent.supervisor import Limits, Outcome
from contract.benchmark import MAX_SAMPLES, BenchRun, Conditions, RunStatus

#: Share of the cores from which foreign work is worth a note.
_FOREIGN_SHARE = 0.10
#: A tenth of a microsecond: below the clock's own noise, and short on the wire.
_SAMPLE_DIGITS = 4
_MEGABYTE = 1e6


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What the runs of one sweep have in common."""

    sweep_id: str
    fingerprint: str
    mode: str
    limits: Limits


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What was seen of one variant at one thread count."""

    threads: int
    started_at: float
    duration_s: float
    before: Conditions
    after: Conditions
    #: How the worker ended, or None where the file was not fit to be loaded.
    outcome: Outcome | None
    damage: str | None = None
    notes: list[str] = field(default_factory=list)


def as_run(
    shelf: Shelf,
    bundle: Bundle,
    origin: Origin,
    seen: Observation,
    *,
    baseline_p50_ms: float | None,
) -> BenchRun:
    """Result of one run, figures included where the variant earned them.

    Args:
        shelf: the set that the bundle belongs to.
        bundle: what was measured.
        origin: what the runs of the sweep have in common.
        seen: what was observed.
        baseline_p50_ms: median of the set's baseline at the same threads in the same sweep;
            not needed for the baseline itself.
    """
    run = _papers(shelf, bundle, origin, seen)
    if seen.outcome is None:
        return run
    run = _with_worker_figures(run, seen.outcome)
    measured = seen.outcome.last_event(Measured)
    if measured is None or run.status is not RunStatus.OK:
        return run
    if bundle.member.variant == shelf.bundle_set.baseline:
        baseline_p50_ms = summarize(measured.samples_ms).p50_ms
    return _with_latency(run, measured, baseline_p50_ms)


def _verdict(seen: Observation, limits: Limits) -> tuple[RunStatus, str | None]:
    """Status and reason; a peak over the limit counts, even if nobody looked just then."""
    outcome = seen.outcome
    if outcome is None:
        return RunStatus.DAMAGED, seen.damage
    peak_bytes = _peak_rss_bytes(outcome) or 0
    limit_bytes = limits.memory_limit_bytes
    if outcome.status is RunStatus.OK and limit_bytes is not None and peak_bytes > limit_bytes:
        reason = (
            f"peaked at {peak_bytes / _MEGABYTE:.0f} MB, "
            f"over its limit of {limit_bytes / _MEGABYTE:.0f} MB"
        )
        return RunStatus.OOM, reason
    return outcome.status, outcome.reason


def _papers(
    shelf: Shelf,
    bundle: Bundle,
    origin: Origin,
    seen: Observation,
) -> BenchRun:
    """Everything but figures: what was run, where, and how it ended."""
    status, reason = _verdict(seen, origin.limits)
    manifest, member = bundle.manifest, bundle.member
    base = shelf.baseline
    drop = base.manifest.accuracy.top1 - manifest.accuracy.top1 if base else None
    return BenchRun(
        run_id=uuid.uuid4().hex,
        sweep_id=origin.sweep_id,
        variant=member.variant,
        family=manifest.family,
        architecture=manifest.architecture,
        baseline=shelf.bundle_set.baseline,
        set_id=shelf.bundle_set.set_id,
        sha256=member.sha256,
        scheme=manifest.quantization.scheme.value,
        input_size=manifest.preprocessing.input_size,
        status=status,
        reason=reason,
        started_at=seen.started_at,
        duration_s=seen.duration_s,
        mode=origin.mode,
        threads=seen.threads,
        fingerprint=origin.fingerprint,
        memory_limit_bytes=origin.limits.memory_limit_bytes,
        bytes=member.bytes,
        parameters=manifest.parameters,
        active_parameters=manifest.active_parameters,
        macs=manifest.macs,
        top1=manifest.accuracy.top1,
        top3=manifest.accuracy.top3,
        top1_drop=drop,
        accuracy_kind=manifest.accuracy.kind,
        accuracy_images=manifest.accuracy.images,
        dataset=manifest.accuracy.dataset,
        before=seen.before,
        after=seen.after,
        notes=seen.notes + (["throttled during the run"] if seen.after.throttled else []),
    )


def _with_worker_figures(run: BenchRun, outcome: Outcome) -> BenchRun:
    """Add what a worker tells before and beside the timing, however it ended."""
    loaded = outcome.last_event(Loaded)
    checked = outcome.last_event(Checked)
    run = msgspec.structs.replace(
        run,
        golden=checked.golden if checked else None,
        memory_limit_kind=outcome.limit_kind,
        peak_rss_bytes=_peak_rss_bytes(outcome),
    )
    if loaded is None:
        return run
    notes = list(run.notes)
    if not loaded.peak_was_reset:
        notes.append("peak memory includes the start: this kernel does not reset VmHWM")
    if loaded.affinity_problem is not None:
        notes.append(loaded.affinity_problem)
    return msgspec.structs.replace(
        run,
        engine=loaded.engine,
        preparation=loaded.preparation.value if loaded.preparation else None,
        load_ms=loaded.load_ms,
        first_ms=loaded.first_ms,
        baseline_rss_bytes=loaded.baseline_rss_bytes,
        loaded_rss_bytes=loaded.loaded_rss_bytes,
        notes=notes,
    )


def _with_latency(run: BenchRun, measured: Measured, baseline_p50_ms: float | None) -> BenchRun:
    """Add the figures of a measurement that went well."""
    summary = summarize(measured.samples_ms)
    notes = list(run.notes)
    if measured.foreign_load is not None and measured.foreign_load >= _FOREIGN_SHARE:
        notes.append(f"other processes used {measured.foreign_load:.0%} of its cores meanwhile")
    kept = [round(sample, _SAMPLE_DIGITS) for sample in thin(measured.samples_ms, MAX_SAMPLES)]
    return msgspec.structs.replace(
        run,
        **msgspec.structs.asdict(summary),
        speedup=baseline_p50_ms / summary.p50_ms if baseline_p50_ms is not None else None,
        preprocess_ms=measured.preprocess_ms,
        postprocess_ms=measured.postprocess_ms,
        energy_mj=measured.energy_mj,
        steady_rss_bytes=measured.steady_rss_bytes,
        notes=notes,
        samples_ms=kept,
    )


def _peak_rss_bytes(outcome: Outcome) -> int | None:
    """Peak since the load, by the kernel; else the most that was seen from outside."""
    measured = outcome.last_event(Measured)
    if measured is not None and measured.peak_rss_bytes is not None:
        return max(measured.peak_rss_bytes, measured.steady_rss_bytes)
    return outcome.seen_rss_bytes or None
