"""The true figures of a variant on a box: a roofline with caches, contention and heat.

Each stage of a network takes the longer of its arithmetic and its traffic with memory (Williams,
Waterman and Patterson, Roofline, CACM 52(4), 2009), plus the starts of its layers. Weights that
fit into the last-level cache together with the activations stay there from one image to the
next. Where the box cannot carry its heat away, the clock falls until it can.

It is a model: its shape is physical, its figures were measured nowhere.
"""

from __future__ import annotations

import math

import msgspec

from fleet.simulating.devices import DeviceLaw
from fleet.simulating.networks import Stage
from fleet.simulating.variants import VariantLaw

_GIGA = 1e9
_MICRO, _MILLI = 1e-6, 1e-3
#: Between a working set that fits the cache and one this many times as large, the share of
#: hits falls to nothing: data that is gone through in a circle drives itself out.
_THRASHES_AT = 1.5
#: A convolution reads each input once for several filters, and its output is written once.
_REREADS = 1.25
#: Deep, small stages leave threads idle: outputs that a thread needs to be worth its start.
_VALUES_PER_THREAD = 6000.0
_INT8_START_FACTOR = 2.0
#: Dynamic quantization looks at its input before each layer.
_RANGE_FINDING_US_PER_KVALUE = 0.6
#: Power goes with clock x voltage squared, and voltage about with the clock's square root.
_POWER_EXPONENT = 2.0
_SLOWEST_CLOCK = 0.35
_HALVINGS = 12
#: A core that waits for memory draws about this share of a busy one.
_WAITING_SHARE = 0.45
#: Resident beside runtime, weights and activations: arenas of each thread.
_THREAD_BYTES = 2_500_000
#: Weights as the engine packs them for its kernels, and the copy that loading holds as well.
_PACKED_SHARE, _LOADING_SHARE = 1.15, 0.9
_ACTIVATION_COPIES = 2.5
#: How much of a percent-95 latency over the median other programs and the scheduler make.
_TAIL_BASE, _TAIL_LOAD, _TAIL_FULL = 0.02, 0.22, 0.04
_P95_DEVIATIONS = 1.645


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What an endless, noiseless measurement would find, once the box is as warm as it gets."""

    fits: bool
    p50_ms: float
    p95_ms: float
    peak_rss_bytes: int
    #: Of the processor, idle power included, for one image.
    energy_mj: float
    #: Share of its cool clock that the box keeps.
    clock_share: float
    power_w: float

    @property
    def is_throttled(self) -> bool:
        """Whether heat keeps the clock down."""
        return self.clock_share < 1.0


def true_figures(device: DeviceLaw, variant: VariantLaw, threads: int) -> Figures:
    """The law: latency, memory and energy of one image on this box.

    Raises:
        ValueError: fewer than one thread, or more than the box has cores.
    """
    if not 1 <= threads <= device.kind.cores:
        message = f"threads {threads}: expected 1 to {device.kind.cores} on {device.device}"
        raise ValueError(message)
    steps = _steps(device, variant, threads)
    share = _clock_share(device, steps, threads)
    busy_s, waiting_s = _seconds(steps, share)
    power_w = _power_w(device, steps, threads, share)
    p50_ms = (busy_s + waiting_s) / _MILLI
    peak = _peak_bytes(device, variant, threads)
    return Figures(
        fits=peak <= device.available_bytes,
        p50_ms=p50_ms,
        p95_ms=p50_ms * _tail(device, threads),
        peak_rss_bytes=peak,
        energy_mj=power_w * p50_ms,
        clock_share=share,
        power_w=power_w,
    )


class _Step(msgspec.Struct, frozen=True, gc=False):
    """One stage on one box at full clock: what goes with the clock, and its memory traffic."""

    busy_s: float
    #: The part of it that memory traffic goes on beside.
    compute_s: float
    memory_s: float


def _steps(device: DeviceLaw, variant: VariantLaw, threads: int) -> list[_Step]:
    kind = device.kind
    hits = _hit_share(device, variant)
    rate = _GIGA * device.clock_ghz * kind.fp32_per_cycle
    rate *= kind.fp32_share * device.efficiency_factor
    bandwidth = device.bandwidth_bytes_per_s(threads)
    # One core's time is taken by others now and then, and all threads wait for the last one.
    crowded = 1.0 + max(0.0, threads + device.load_cores - kind.cores) / threads
    steps = []
    for stage in variant.stages:
        is_int8 = variant.is_int8(stage)
        gain = kind.int8_gain if is_int8 else 1.0
        speed = rate * gain * _parallel(device, stage, threads) * _lane_use(device, stage)
        compute_s = 2 * stage.macs / speed * crowded
        starts_s = stage.layers * kind.layer_overhead_us * _MICRO
        starts_s *= _INT8_START_FACTOR if is_int8 else 1.0
        if is_int8 and variant.value_bytes(stage) > 1:
            starts_s += stage.traffic / 1000 * _RANGE_FINDING_US_PER_KVALUE * _MICRO
        memory_s = _traffic_bytes(device, variant, stage, hits) / bandwidth
        steps.append(_Step(compute_s + starts_s * crowded, compute_s, memory_s))
    return steps


def _clock_share(device: DeviceLaw, steps: list[_Step], threads: int) -> float:
    """Share of its clock at which the box gets rid of its heat.

    What waits for memory does not slow down with the clock, so that power and clock are found
    together, by halving.
    """
    sustained_w = device.sustained_w
    if _power_w(device, steps, threads, 1.0) <= sustained_w:
        return 1.0
    low, high = _SLOWEST_CLOCK, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if _power_w(device, steps, threads, middle) > sustained_w:
            high = middle
        else:
            low = middle
    return low


def _power_w(device: DeviceLaw, steps: list[_Step], threads: int, share: float) -> float:
    """Mean power of the box while it computes at a share of its clock."""
    busy_s, waiting_s = _seconds(steps, share)
    busy = (busy_s + waiting_s * _WAITING_SHARE) / (busy_s + waiting_s)
    cores = min(threads * busy + device.load_cores, device.kind.cores)
    return device.kind.idle_w + device.kind.core_w * cores * math.pow(share, _POWER_EXPONENT)


def _seconds(steps: list[_Step], share: float) -> tuple[float, float]:
    """Seconds of one image: those that go with the clock, and those that wait for memory."""
    busy_s = waiting_s = 0.0
    # Written out, for this is asked dozens of times a figure.
    for step in steps:
        busy_s += step.busy_s / share
        idle_s = step.memory_s - step.compute_s / share
        if idle_s > 0.0:
            waiting_s += idle_s
    return busy_s, waiting_s


def _parallel(device: DeviceLaw, stage: Stage, threads: int) -> float:
    """How many times as fast several threads are."""
    useful = max(1.0, min(float(threads), stage.traffic / stage.layers / _VALUES_PER_THREAD))
    if stage.is_linear:
        useful = float(threads)
    return 1.0 + (useful - 1.0) * math.pow(device.kind.parallel_share, math.sqrt(useful - 1.0))


def _lane_use(device: DeviceLaw, stage: Stage) -> float:
    """Share of the vector that is used: 45 channels take as long as 48 by eights."""
    lanes = device.kind.lanes
    return stage.channels / (math.ceil(stage.channels / lanes) * lanes)


def _hit_share(device: DeviceLaw, variant: VariantLaw) -> float:
    """Share of the weights that still lie in the cache when the next image comes."""
    ratio = (variant.weight_bytes + variant.activation_bytes) / device.kind.cache_bytes
    return min(1.0, max(0.0, (_THRASHES_AT - ratio) / (_THRASHES_AT - 1.0)))


def _traffic_bytes(device: DeviceLaw, variant: VariantLaw, stage: Stage, hits: float) -> float:
    """What a stage moves between memory and cache."""
    weights = variant.stage_weight_bytes(stage) * (1.0 - hits)
    width = variant.value_bytes(stage)
    spilled = max(0.0, 1.0 - device.kind.cache_bytes / (stage.alive * width))
    return weights + stage.traffic * width * _REREADS * spilled


def _peak_bytes(device: DeviceLaw, variant: VariantLaw, threads: int) -> int:
    weights = variant.weight_bytes
    loading = weights * (_PACKED_SHARE + _LOADING_SHARE)
    steady = weights * _PACKED_SHARE + variant.activation_bytes * _ACTIVATION_COPIES
    return round(device.kind.runtime_bytes + max(loading, steady) + threads * _THREAD_BYTES)


def _tail(device: DeviceLaw, threads: int) -> float:
    """The 95th percentile as a multiple of the median."""
    full = threads == device.kind.cores
    load = device.load_cores / device.kind.cores * (2.0 if full else 1.0)
    spread = _P95_DEVIATIONS * device.kind.sample_noise
    return 1.0 + _TAIL_BASE + spread + _TAIL_LOAD * min(load, 1.0) + (_TAIL_FULL if full else 0.0)
