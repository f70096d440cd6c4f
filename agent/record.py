"""From what was observed of one variant to the `BenchRun` that states it."""

from __future__ import annotations

import statistics
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from agent.accuracy import with_accuracy
from agent.bundles import Bundle, Shelf
from agent.observation import Observation
from agent.protocol import Checked, Examined, Loaded, Measured
from agent.spread import Spread
from agent.statistics import summarize, thin
from agent.supervisor import Limits
from contract.benchmark import MAX_SAMPLES, BenchRun, Conditions, Golden, RunStatus, Window
from contract.interval import Interval

#: Share of the cores from which foreign work is worth a note.
_FOREIGN_SHARE = 0.10
#: Change of the baseline from the sweep's first process to its last that is worth a note.
_DRIFT_SHARE = 0.05
#: A tenth of a microsecond: below the clock's own noise, and short on the wire.
_SAMPLE_DIGITS = 4


@dataclass(frozen=True, kw_only=True)
class Origin:
    """What the runs of one sweep have in common."""

    sweep_id: str
    fingerprint: str
    mode: str
    limits: Limits


def as_run(
    shelf: Shelf,
    bundle: Bundle,
    origin: Origin,
    seen: Sequence[Observation],
    *,
    spread: Spread | None = None,
    baseline_p50_ms: float | None = None,
) -> BenchRun:
    """Result of one variant, figures included where it earned them.

    Args:
        shelf: the set that the bundle belongs to.
        bundle: what was measured.
        origin: what the runs of the sweep have in common.
        seen: what was observed in each of its processes, at least one, in their order. Where
            one went wrong, that is the result.
        spread: how well processes repeated each other in this sweep, where that is known.
        baseline_p50_ms: median of the set's baseline at the same threads in the same sweep;
            not needed for the baseline itself.
    """
    limit_bytes = origin.limits.memory_limit_bytes
    failed = [one for one in seen if one.verdict(limit_bytes)[0] is not RunStatus.OK]
    run = _papers(shelf, bundle, origin, seen)
    if failed:
        run = _with_worker_figures(run, failed)
        status, reason = failed[0].verdict(limit_bytes)
        if len(seen) > 1:
            reason = f"{reason} (in {len(failed)} of {len(seen)} processes)"
        return msgspec.structs.replace(run, status=status, reason=reason)
    run = _with_worker_figures(run, seen)
    measured = [one.measured for one in seen if one.measured is not None]
    if not measured:
        return run
    run = _with_memory(run, measured)
    run = _with_course(run, measured)
    run = _with_latency(run, measured, spread)
    for examined in filter(None, (one.told(Examined) for one in seen)):
        run = with_accuracy(run, examined)
    if bundle.member.variant == shelf.bundle_set.baseline:
        return _with_drift(msgspec.structs.replace(run, speedup=1.0), seen)
    if baseline_p50_ms is None or run.p50_ms is None:
        return run
    return msgspec.structs.replace(run, speedup=baseline_p50_ms / run.p50_ms)


def settled_samples_ms(seen: Sequence[Observation]) -> list[float]:
    """All samples that figures are taken from, in their order."""
    return [
        sample
        for observation in seen
        if observation.measured is not None
        for sample in observation.measured.settled_ms
    ]


def _papers(
    shelf: Shelf,
    bundle: Bundle,
    origin: Origin,
    seen: Sequence[Observation],
) -> BenchRun:
    """Everything but figures: what was run, where, and under which conditions."""
    manifest, member = bundle.manifest, bundle.member
    base = shelf.baseline
    drop = base.manifest.accuracy.top1 - manifest.accuracy.top1 if base else None
    remarks = [remark for observation in seen for remark in observation.remarks]
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
        status=RunStatus.OK,
        started_at=seen[0].started_at,
        duration_s=sum(observation.duration_s for observation in seen),
        mode=origin.mode,
        threads=seen[0].threads,
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
        before=seen[0].before,
        after=_after(seen),
        notes=list(dict.fromkeys(remarks)),
    )


def _after(seen: Sequence[Observation]) -> Conditions:
    """Conditions at the end; throttling counts whenever it happened."""
    last = seen[-1].after
    if last.throttled or not any(observation.after.throttled for observation in seen):
        return last
    causes = [cause for observation in seen for cause in observation.after.throttle_causes]
    return msgspec.structs.replace(
        last, throttled=True, throttle_causes=list(dict.fromkeys(causes))
    )


def _with_worker_figures(run: BenchRun, seen: Sequence[Observation]) -> BenchRun:
    """Add what workers tell before and beside the timing, however they ended."""
    peaks = [peak for one in seen if (peak := one.peak_rss_bytes) is not None]
    anonymous = [one.outcome.seen_anonymous_bytes for one in seen if one.outcome]
    kinds = [one.outcome.limit_kind for one in seen if one.outcome]
    run = msgspec.structs.replace(
        run,
        golden=_worst([check.golden for one in seen if (check := one.told(Checked))]),
        memory_limit_kind=kinds[0] if kinds else None,
        peak_rss_bytes=max(peaks, default=None),
        peak_anonymous_bytes=max(anonymous, default=0) or None,
    )
    loaded = [told for one in seen if (told := one.told(Loaded)) is not None]
    if not loaded:
        return run
    return msgspec.structs.replace(
        run,
        engine=loaded[0].engine,
        preparation=loaded[-1].preparation.value if loaded[-1].preparation else None,
        load_ms=statistics.median(told.load_ms for told in loaded),
        first_ms=statistics.median(told.first_ms for told in loaded),
        baseline_rss_bytes=int(statistics.median(told.baseline_rss_bytes for told in loaded)),
        loaded_rss_bytes=int(statistics.median(told.loaded_rss_bytes for told in loaded)),
    )


def _worst(verdicts: Sequence[Golden]) -> Golden | None:
    return max(verdicts, key=lambda golden: (not golden.ok, golden.max_error), default=None)


def _with_memory(run: BenchRun, measured: Sequence[Measured]) -> BenchRun:
    anonymous = [
        told.steady_anonymous_bytes for told in measured if told.steady_anonymous_bytes is not None
    ]
    return msgspec.structs.replace(
        run,
        steady_rss_bytes=int(statistics.median(told.steady_rss_bytes for told in measured)),
        steady_anonymous_bytes=int(statistics.median(anonymous)) if anonymous else None,
    )


def _with_course(run: BenchRun, measured: Sequence[Measured]) -> BenchRun:
    """Add how the latency went over the minutes of a sustained run."""
    told = [one.is_stationary for one in measured if one.is_stationary is not None]
    if not told:
        return run
    notes = list(run.notes)
    if not all(told):
        notes.append("the latency had not settled when the time was up")
    windows: list[Window] = []
    for one in measured:
        elapsed_s = windows[-1].at_s if windows else 0.0
        windows += [msgspec.structs.replace(w, at_s=w.at_s + elapsed_s) for w in one.windows]
    return msgspec.structs.replace(
        run,
        first_minute_p50_ms=measured[0].first_minute_p50_ms,
        is_stationary=all(told),
        windows=windows,
        notes=notes,
    )


def _with_latency(run: BenchRun, measured: Sequence[Measured], spread: Spread | None) -> BenchRun:
    """Add the figures of measurements that went well."""
    samples_ms = [sample for told in measured for sample in told.settled_ms]
    summary = summarize(samples_ms, beside=_repeated(measured, spread))
    notes = list(run.notes)
    foreign = [told.foreign_load for told in measured if told.foreign_load is not None]
    if max(foreign, default=0.0) >= _FOREIGN_SHARE:
        notes.append(f"other processes used {max(foreign):.0%} of its cores meanwhile")
    energies = [told.energy_mj for told in measured if told.energy_mj is not None]
    return msgspec.structs.replace(
        run,
        **msgspec.structs.asdict(summary),
        processes=len(measured),
        repeatability=spread.deviation if spread else None,
        preprocess_ms=statistics.median(told.preprocess_ms for told in measured),
        postprocess_ms=statistics.median(told.postprocess_ms for told in measured),
        energy_mj=statistics.fmean(energies) if energies else None,
        notes=notes,
        samples_ms=[round(sample, _SAMPLE_DIGITS) for sample in thin(samples_ms, MAX_SAMPLES)],
    )


def _repeated(measured: Sequence[Measured], spread: Spread | None) -> Interval | None:
    """Interval of the median from what was repeated: processes, or windows of one of them."""
    if spread is not None:
        return spread.around([statistics.median(told.settled_ms) for told in measured])
    settled = [window.p50_ms for told in measured for window in told.settled_windows]
    within = Spread.pooled([settled])
    return within.around(settled) if within else None


def _with_drift(run: BenchRun, seen: Sequence[Observation]) -> BenchRun:
    """Note where the baseline itself changed while the sweep went on."""
    medians_ms = [median_ms for one in seen if (median_ms := one.p50_ms) is not None]
    first_ms, last_ms = medians_ms[0], medians_ms[-1]
    change = last_ms / first_ms - 1.0
    if abs(change) < _DRIFT_SHARE:
        return run
    note = (
        f"this box drifted: the baseline took {first_ms:.3g} ms at the start of the sweep and "
        f"{last_ms:.3g} ms at its end ({change:+.0%})"
    )
    return msgspec.structs.replace(run, notes=[*run.notes, note])
