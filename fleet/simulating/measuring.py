"""One benchmark run on a simulated box: the law, seen through noise."""

from __future__ import annotations

import math
import random
from statistics import NormalDist

import msgspec

from contract.benchmark import BenchRun, Conditions, Golden, RunStatus
from contract.interval import Z95, median_interval
from contract.manifest import AccuracyKind, Scheme
from fleet.simulating.chance import chance
from fleet.simulating.devices import DeviceLaw
from fleet.simulating.inventories import engine_of, fingerprint_of
from fleet.simulating.laws import Figures, true_figures
from fleet.simulating.variants import BASELINE, VariantLaw

#: Fewer tell no interval of their median.
FEWEST_SAMPLES = 12
#: What a run is of where nobody says.
USUAL_SAMPLES = 40

_PROCESSES = 2
#: 97.5 % point of Student's t for about twenty degrees of freedom: a sweep pools the processes
#: of all its variants.
_T_POOLED = 2.09
#: Standard deviations from the median to the 95th percentile of a normal law.
_Z95_ONE_SIDED = 1.645
_FIRST_FACTOR = 2.4
_LOAD_BYTES_PER_MS = 120_000
#: Resize and normalization, in FP32 operations of one core for each pixel of the input.
_PREPROCESS_OPS_PER_PIXEL = 260.0
_ACCURACY_IMAGES = 5000
_LIMIT_C = 82.0
_STEADY_SHARE = 0.93
_MEMORY_NOISE = 0.004
#: Relative error of a deviation that twenty degrees of freedom tell.
_SPREAD_ERROR = 0.16
_NORMAL = NormalDist()
_GOLDEN = {
    True: Golden(ok=True, max_error=0.0061, tolerance=0.05),
    False: Golden(ok=True, max_error=0.00002, tolerance=0.001),
}


def measure(
    device: DeviceLaw,
    variant: VariantLaw,
    threads: int,
    seed: int,
    *,
    at: float = 0.0,
    set_id: str = "0000000000000000",
    figures: Figures | None = None,
    baseline: Figures | None = None,
    samples: int = USUAL_SAMPLES,
    keeps_samples: bool = False,
) -> BenchRun:
    """One run; the same arguments give the same run.

    A variant that does not fit the box's memory gives a run of status `oom` without figures.

    Args:
        device: the box.
        variant: what is measured.
        threads: 1 to the box's cores.
        seed: another one gives another run of the same.
        at: when it starts, by the box's clock.
        set_id: of the bundle set.
        figures: what the law says of it, where that is known already.
        baseline: what the law says of the set's baseline, for `speedup`; None leaves it out.
        samples: latencies to take, half of them in each of two processes; from 80 on, a kept
            set of them also tells an interval of the 95th percentile.
        keeps_samples: whether the run carries them, beside what follows from them.

    Raises:
        ValueError: fewer than one thread, or more than the box has cores; fewer than 12
            samples.
    """
    true = figures or true_figures(device, variant, threads)
    draw = chance("run", device.device, variant.name, threads, seed)
    run = BenchRun(
        run_id=f"{draw.getrandbits(128):032x}",
        sweep_id=f"{seed:032x}",
        variant=variant.name,
        family=variant.architecture,
        architecture=variant.architecture,
        baseline=BASELINE,
        set_id=set_id,
        sha256=variant.sha256,
        scheme=variant.scheme.value,
        input_size=variant.input_size,
        status=RunStatus.OOM,
        reason="killed: out of memory while loading",
        started_at=at,
        duration_s=2.0,
        mode="quick",
        threads=threads,
        engine=engine_of(device),
        fingerprint=fingerprint_of(device),
        bytes=variant.file_bytes,
        parameters=variant.parameters,
        active_parameters=variant.parameters,
        macs=variant.macs,
        top1=variant.top1,
        top3=variant.top3,
        top1_drop=variant.top1_drop,
        accuracy_kind=AccuracyKind.LABELS,
        accuracy_images=_ACCURACY_IMAGES,
        dataset="simulated",
        notes=["simulated"],
    )
    if not true.fits:
        return run
    if samples < FEWEST_SAMPLES:
        message = f"samples {samples}: expected at least {FEWEST_SAMPLES}"
        raise ValueError(message)
    taken = _samples(device, true, draw, samples) if keeps_samples else None
    seen = _of_samples(taken) if taken else _of_chance(device, true, draw, samples)
    return _measured(run, device, true, draw, seen, baseline=baseline, kept=taken or [])


class _Seen(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What follows from the samples of one run, in ms."""

    n: int
    p50_ms: float
    p90_ms: float
    p95_ms: float
    low_ms: float
    high_ms: float


def _spread_at(device: DeviceLaw, true: Figures, z: float) -> float:
    """Logarithm of a latency over the median, as many standard deviations from it.

    The law is log-normal in two halves, the upper one so wide that the 95th percentile is where
    the law of the box has it.
    """
    upper = math.log(true.p95_ms / true.p50_ms) / _Z95_ONE_SIDED
    return z * (upper if z > 0.0 else device.kind.sample_noise)


def _samples(device: DeviceLaw, true: Figures, draw: random.Random, n: int) -> list[float]:
    """Latencies in the order of their taking; each process has a factor of its own."""
    taken = []
    for process in range(_PROCESSES):
        factor = draw.gauss(0.0, device.kind.process_noise)
        for _ in range(n * process // _PROCESSES, n * (process + 1) // _PROCESSES):
            spread = _spread_at(device, true, draw.gauss(0.0, 1.0))
            taken.append(true.p50_ms * math.exp(factor + spread))
    return taken


def _of_samples(taken: list[float]) -> _Seen:
    ordered = sorted(taken)
    p50_ms = _percentile(ordered, 0.5)
    within = median_interval(ordered)
    return _Seen(
        n=len(ordered),
        p50_ms=p50_ms,
        p90_ms=_percentile(ordered, 0.90),
        p95_ms=_percentile(ordered, 0.95),
        low_ms=within.low if within else p50_ms,
        high_ms=within.high if within else p50_ms,
    )


def _of_chance(device: DeviceLaw, true: Figures, draw: random.Random, n: int) -> _Seen:
    """The same without the samples: percentiles of samples have laws of their own.

    The share of a law below a percentile `q` of `n` samples is about normal around `q`, with
    variance q (1 - q) / n. It takes a fraction of the time of drawing them.
    """
    factor = draw.gauss(0.0, device.kind.process_noise / math.sqrt(_PROCESSES))

    def at(share: float) -> float:
        z = _NORMAL.inv_cdf(min(max(share, 1e-6), 1.0 - 1e-6))
        return true.p50_ms * math.exp(factor + _spread_at(device, true, z))

    middle = draw.gauss(0.5, 0.5 / math.sqrt(n))
    half = Z95 * 0.5 / math.sqrt(n)
    upper = draw.gauss(0.95, math.sqrt(0.95 * 0.05 / n))
    p50_ms, p95_ms = at(middle), at(max(upper, middle))
    return _Seen(
        n=n,
        p50_ms=p50_ms,
        p90_ms=min(at(max(upper - 0.05, middle)), p95_ms),
        p95_ms=p95_ms,
        low_ms=at(middle - half),
        high_ms=at(middle + half),
    )


def _measured(
    run: BenchRun,
    device: DeviceLaw,
    true: Figures,
    draw: random.Random,
    seen: _Seen,
    *,
    baseline: Figures | None,
    kept: list[float],
) -> BenchRun:
    # What a sweep of twenty variants would find of its own repeatability.
    spread = device.kind.process_noise * math.exp(draw.gauss(0.0, _SPREAD_ERROR))
    margin = math.exp(_T_POOLED * spread / math.sqrt(_PROCESSES))
    p50_ms = seen.p50_ms
    peak = round(true.peak_rss_bytes * math.exp(abs(draw.gauss(0.0, _MEMORY_NOISE))))
    warm_c = device.ambient_c + (_LIMIT_C - 25.0) * true.power_w / device.sustained_w
    clock_mhz = device.clock_ghz * 1000
    runtime = device.kind.runtime_bytes
    energy_mj = true.energy_mj * p50_ms / true.p50_ms if device.kind.meters_energy else None
    operations_per_ms = device.kind.fp32_per_cycle * device.clock_ghz * 1e6
    return msgspec.structs.replace(
        run,
        status=RunStatus.OK,
        reason=None,
        duration_s=p50_ms * seen.n / 1000,
        preparation="frozen",
        n=seen.n,
        p50_ms=p50_ms,
        p90_ms=seen.p90_ms,
        p95_ms=seen.p95_ms,
        ci_low_ms=min(seen.low_ms, p50_ms / margin),
        ci_high_ms=max(seen.high_ms, p50_ms * margin),
        processes=_PROCESSES,
        repeatability=spread,
        load_ms=run.bytes / _LOAD_BYTES_PER_MS,
        first_ms=p50_ms * _FIRST_FACTOR,
        preprocess_ms=_PREPROCESS_OPS_PER_PIXEL * run.input_size**2 / operations_per_ms,
        postprocess_ms=0.05,
        energy_mj=energy_mj,
        speedup=baseline.p50_ms / p50_ms if baseline is not None and baseline.fits else None,
        baseline_rss_bytes=runtime,
        loaded_rss_bytes=min(runtime + run.bytes, peak),
        steady_rss_bytes=round(peak * _STEADY_SHARE),
        peak_rss_bytes=peak,
        golden=_GOLDEN[run.scheme == Scheme.STATIC_INT8.value],
        before=Conditions(
            temperature_c=device.ambient_c + 15.0,
            clock_mhz=clock_mhz,
            throttled=False,
            load_1m=device.load_cores,
        ),
        after=Conditions(
            temperature_c=min(_LIMIT_C, warm_c),
            clock_mhz=clock_mhz * true.clock_share,
            throttled=true.is_throttled,
            throttle_causes=["temperature"] if true.is_throttled else [],
            load_1m=device.load_cores + run.threads,
        ),
        samples_ms=kept,
    )


def _percentile(ordered: list[float], share: float) -> float:
    """Linear between neighbours, as agents take it: Hyndman and Fan (1996), type 7."""
    place = (len(ordered) - 1) * share
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
