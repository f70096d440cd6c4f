"""One benchmark run of one variant: the fact that everything later is decided on.

A collector holds thousands of these at a time. Nothing in them can refer back to them, so the
garbage collector need not look at them (`gc=False`), which took a fifth of the time.
"""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec

from contract.box import Watts
from contract.manifest import AccuracyKind, Count, Positive, Share, Variant

MAX_SAMPLES = 4096

Milliseconds = Annotated[float, msgspec.Meta(ge=0.0)]


class RunStatus(enum.StrEnum):
    """How a run ended; everything but OK is a fact too, and never recommended."""

    OK = "ok"
    OOM = "oom"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    UNSUPPORTED = "unsupported"
    WRONG_NUMERICS = "wrong-numerics"
    DAMAGED = "damaged"


class LimitKind(enum.StrEnum):
    """What enforces a memory limit."""

    CGROUP = "cgroup"
    WATCHDOG = "watchdog"


class Golden(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Golden vectors against this device's logits.

    `max_error` and `tolerance` are shares of the range of the golden logits.
    """

    ok: bool
    max_error: float
    tolerance: float


class Conditions(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """State of the box at one moment; None where the box does not tell."""

    temperature_c: float | None = None
    clock_mhz: float | None = None
    throttled: bool | None = None
    #: What slows the box down at this moment, in its own words: `under-voltage`.
    throttle_causes: list[str] = []
    load_1m: float | None = None
    memory_available_bytes: Count | None = None
    #: Drawn at this moment, by what the inventory names as `power_source`.
    power_w: Watts | None = None


class Window(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A few seconds of a sustained run; None where the box does not tell."""

    #: From the first sample of the run to the end of this window.
    at_s: float
    n: Count
    p50_ms: Milliseconds
    temperature_c: float | None = None
    clock_mhz: float | None = None


class BenchRun(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One run. Latencies are per image, batch 1; `p*_ms` are of inference alone."""

    run_id: str
    sweep_id: str
    variant: Variant
    family: str
    architecture: str
    #: Baseline of the bundle set; `speedup` and `top1_drop` refer to it.
    baseline: Variant
    set_id: str
    sha256: str
    scheme: str
    input_size: Positive
    status: RunStatus
    reason: str | None = None
    started_at: float
    duration_s: float
    mode: str
    threads: Positive
    engine: str | None = None
    #: What was done to the network after loading it, the fastest of what was tried here.
    preparation: str | None = None
    fingerprint: str
    memory_limit_bytes: Count | None = None
    memory_limit_kind: LimitKind | None = None

    n: Count = 0
    p50_ms: Milliseconds | None = None
    p90_ms: Milliseconds | None = None
    p95_ms: Milliseconds | None = None
    #: Only where n >= 1000; fewer samples say nothing about one in a hundred.
    p99_ms: Milliseconds | None = None
    #: 95 % confidence interval of the median. Where a sweep started several processes for each
    #: variant, it holds what differs between processes, as far as this sweep could tell.
    ci_low_ms: Milliseconds | None = None
    ci_high_ms: Milliseconds | None = None
    #: Fresh processes that the samples came from, spread over the sweep.
    processes: Count | None = None
    #: Standard deviation between processes of one variant, as a share of its median: how well
    #: this box repeated itself in this sweep, all its variants taken together.
    repeatability: float | None = None
    load_ms: Milliseconds | None = None
    first_ms: Milliseconds | None = None
    preprocess_ms: Milliseconds | None = None
    postprocess_ms: Milliseconds | None = None
    #: Per inference: what all processor packages drew while the samples were taken, through
    #: their counters, divided by `n`. Idle power and the work of other processes are in it,
    #: memory modules and the rest of the box are not. None where the box counts no energy.
    energy_mj: float | None = None
    speedup: float | None = None

    baseline_rss_bytes: Count | None = None
    loaded_rss_bytes: Count | None = None
    steady_rss_bytes: Count | None = None
    peak_rss_bytes: Count | None = None
    #: The part that no file backs: weights, activations, heap. It repeats from run to run; the
    #: pages of libraries, which the resident set counts as well, come and go with the page
    #: cache. The peak is the highest of samples every 20 ms.
    steady_anonymous_bytes: Count | None = None
    peak_anonymous_bytes: Count | None = None

    #: Of a sustained run: median of its first minute, whether the latency had settled when the
    #: run ended, and its course. Percentiles, samples and `n` are of the settled end.
    first_minute_p50_ms: Milliseconds | None = None
    is_stationary: bool | None = None
    windows: list[Window] = []

    bytes: Count
    parameters: Count
    active_parameters: Count
    macs: Count
    top1: Share
    top3: Share
    #: Against the baseline of the set; None where the baseline's manifest cannot be read.
    top1_drop: float | None = None
    accuracy_kind: AccuracyKind
    accuracy_images: Count
    dataset: str
    #: Measured on this device, on images of the set's evaluation set: the first `device_images`
    #: of it, as far as the time went. None where it was not.
    device_top1: Share | None = None
    device_top3: Share | None = None
    device_images: Count | None = None
    #: Of these images: right here and wrong at the builder, and the other way round.
    device_gained: Count | None = None
    device_lost: Count | None = None

    golden: Golden | None = None
    before: Conditions | None = None
    after: Conditions | None = None
    notes: list[str] = []
    samples_ms: Annotated[list[float], msgspec.Meta(max_length=MAX_SAMPLES)] = []
