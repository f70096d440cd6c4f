"""One variant of the report: its figures, beside those of what it was made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from builder.measuring.timing import HostTiming
from builder.report.gap import Gap, accuracy_gap
from contract.bundleset import Member
from contract.interval import Interval, wilson
from contract.manifest import Manifest, Preprocessing, Scheme, Tuning


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One variant. Intervals are 95 %; "own base" is its architecture's unchanged network."""

    variant: str
    architecture: str
    family: str
    is_baseline: bool
    own_base: str | None
    scheme: Scheme
    engine: str | None
    int8_mac_share: float
    float_layers: list[str]
    input_size: int
    pruned_share: float | None
    tuning: str

    top1: float
    top1_low: float
    top1_high: float
    top3: float
    #: `top1` less that of the set's baseline.
    gap: Gap | None

    macs: int
    #: MACs that the own base does and this does not, and as a share of its own.
    macs_saved: int | None
    macs_saved_share: float | None
    #: MACs of the set's baseline as a multiple of these.
    macs_ratio: float | None
    parameters: int
    bytes: int

    #: At the pace that the host had while the baseline was timed: the baseline's median by the
    #: speed-up, so that all figures fit each other where the host's pace changed meanwhile.
    p50_ms: float | None = None
    p50_low_ms: float | None = None
    p50_high_ms: float | None = None
    #: Latency of the set's baseline as a multiple of this.
    speedup: float | None = None
    speedup_low: float | None = None
    speedup_high: float | None = None
    #: The same for the own base.
    own_speedup: float | None = None
    own_speedup_low: float | None = None
    own_speedup_high: float | None = None
    ms_saved: float | None = None
    preparation: str | None = None
    timing_failure: str | None = None

    @property
    def time_saved_share(self) -> float | None:
        """Share of the own base's latency that is saved; negative where it is slower."""
        return None if self.own_speedup is None else 1 - 1 / self.own_speedup


def make_entries(
    rows: Sequence[tuple[Member, Manifest]],
    baseline: str,
    timings: Mapping[str, HostTiming],
) -> list[Entry]:
    """One entry a bundle, in the given order; `timings` may lack some or all."""
    manifests = {member.variant: manifest for member, manifest in rows}
    bases = own_bases(manifests)
    return [
        _with_timing(
            _entry(member, manifest, baseline, manifests, bases.get(manifest.architecture)),
            timings,
            timings.get(baseline),
        )
        for member, manifest in rows
    ]


def own_bases(manifests: Mapping[str, Manifest]) -> dict[str, str]:
    """Name of each architecture's unchanged network, where the set has it."""
    bases: dict[str, str] = {}
    for variant, manifest in manifests.items():
        unchanged = manifest.pruning is None and manifest.quantization.scheme is Scheme.FP32
        known = bases.get(manifest.architecture)
        # Variants with another input are unchanged in every other way, and called after it.
        if not unchanged or f"r{manifest.preprocessing.input_size}" in variant.split("-"):
            continue
        if known is None or manifest.macs > manifests[known].macs:
            bases[manifest.architecture] = variant
    return bases


def _entry(
    member: Member,
    manifest: Manifest,
    baseline: str,
    manifests: Mapping[str, Manifest],
    own_base: str | None,
) -> Entry:
    accuracy, quantization = manifest.accuracy, manifest.quantization
    top1 = wilson(accuracy.top1, accuracy.images)
    base = manifests.get(baseline)
    gap = None if base is None else accuracy_gap(accuracy, base.accuracy)
    own = None if own_base is None else manifests[own_base]
    return Entry(
        variant=member.variant,
        architecture=manifest.architecture,
        family=manifest.family,
        is_baseline=member.variant == baseline,
        own_base=own_base,
        scheme=quantization.scheme,
        engine=quantization.engine,
        int8_mac_share=quantization.int8_mac_share,
        float_layers=quantization.float_layers,
        input_size=manifest.preprocessing.input_size,
        pruned_share=None if manifest.pruning is None else manifest.pruning.ratio,
        tuning=_tuning_words(manifest.tuning, manifest.preprocessing),
        top1=accuracy.top1,
        top1_low=top1.low,
        top1_high=top1.high,
        top3=accuracy.top3,
        gap=gap,
        macs=manifest.macs,
        macs_saved=None if own is None else own.macs - manifest.macs,
        macs_saved_share=None if own is None or not own.macs else 1 - manifest.macs / own.macs,
        macs_ratio=base.macs / manifest.macs if base is not None and manifest.macs else None,
        parameters=manifest.parameters,
        bytes=member.bytes,
    )


def _with_timing(
    entry: Entry, timings: Mapping[str, HostTiming], baseline: HostTiming | None
) -> Entry:
    timing = timings.get(entry.variant)
    if timing is None:
        return entry
    entry = msgspec.structs.replace(
        entry,
        p50_ms=timing.p50_ms,
        p50_low_ms=timing.ci_low_ms,
        p50_high_ms=timing.ci_high_ms,
        speedup=timing.speedup,
        speedup_low=timing.speedup_low,
        speedup_high=timing.speedup_high,
        preparation=timing.preparation,
        timing_failure=timing.reason,
    )
    if not entry.is_baseline and baseline is not None:
        entry = _at_pace_of(baseline, entry)
    own = timings.get(entry.own_base) if entry.own_base else None
    return entry if own is None else _against_own_base(entry, own)


def _at_pace_of(baseline: HostTiming, entry: Entry) -> Entry:
    if baseline.p50_ms is None or not entry.speedup:
        return entry
    low, high = entry.speedup_low, entry.speedup_high
    return msgspec.structs.replace(
        entry,
        p50_ms=baseline.p50_ms / entry.speedup,
        p50_low_ms=baseline.p50_ms / high if high else None,
        p50_high_ms=baseline.p50_ms / low if low else None,
    )


def _against_own_base(entry: Entry, own: HostTiming) -> Entry:
    """Fill in what was saved; both ran in turns with the same baseline."""
    if entry.p50_ms is None or not entry.speedup or not own.speedup:
        return entry
    if entry.variant == entry.own_base:
        ratio, ends = 1.0, Interval(1.0, 1.0)
    else:
        ratio, ends = entry.speedup / own.speedup, None
        if entry.speedup_low and entry.speedup_high and own.speedup_low and own.speedup_high:
            ends = Interval(
                entry.speedup_low / own.speedup_high, entry.speedup_high / own.speedup_low
            )
    return msgspec.structs.replace(
        entry,
        own_speedup=ratio,
        own_speedup_low=ends.low if ends else None,
        own_speedup_high=ends.high if ends else None,
        ms_saved=(ratio - 1) * entry.p50_ms,
    )


def _tuning_words(tuning: Tuning | None, rule: Preprocessing) -> str:
    if tuning is None:
        return "none"
    words = [f"{tuning.epochs} epoch{'' if tuning.epochs == 1 else 's'}"]
    if tuning.rounds > 1:
        words.append(f"{tuning.rounds} rounds")
    if tuning.distilled:
        words.append("distilled")
    if tuning.input_size is not None and tuning.input_size != rule.input_size:
        words.append(f"at {tuning.input_size} px")
    return ", ".join(words)
