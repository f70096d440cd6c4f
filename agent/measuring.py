"""What a worker does to measure a network: warm up, time, and look at memory, heat and load."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from agent import images, memory
from agent.affinity import usable_cores
from agent.predictions import rank
from agent.probes.clock import clock_mhz
from agent.probes.load import LoadMeter
from agent.probes.rapl import EnergyMeter, per_inference_mj
from agent.probes.thermal import temperature_c
from agent.protocol import Bench, Entered, Event, Measured, Stage, Sustained
from agent.stationary import SPAN, is_stationary
from agent.subject import Subject
from agent.timing import repeat, typical_ms
from contract.benchmark import Window

_ROOT = Path("/")
_WARM_UP_RUNS = 3
_WARM_UP_SECONDS = 0.2
#: Pre- and postprocessing are short: a median of this many says enough.
_SIDE_STEPS = 20
_SIDE_STEP_SECONDS = 0.25
_RANKED = 3
#: A median of fewer says nothing; slow networks make windows longer instead.
_RUNS_IN_WINDOW = 3
#: The end is compared with the first minute, so the two must not overlap.
_LEAST_WINDOWS = 2 * SPAN

Work = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Course:
    """Samples of a network in their order, and where they settled."""

    samples_ms: list[float]
    settled_from: int = 0
    first_minute_p50_ms: float | None = None
    is_stationary: bool | None = None
    windows: tuple[Window, ...] = ()


def measure(task: Bench, subject: Subject, send: Callable[[Event], None]) -> Measured:
    """Figures of a proven network, one image at a time.

    Raises:
        NetworkError: the network fails.
    """
    network, rule = subject.network, subject.manifest.preprocessing
    inputs = images.standardize(subject.vectors.images[:1], rule)

    with network.repeating(inputs) as infer:
        send(Entered(stage=Stage.WARMING))
        repeat(infer, min_seconds=_WARM_UP_SECONDS, min_runs=_WARM_UP_RUNS)
        send(Entered(stage=Stage.MEASURING))
        meter = LoadMeter(_ROOT, cores=usable_cores())
        energy = EnergyMeter(_ROOT)
        if task.sustained is None:
            seconds, runs = task.min_seconds, task.min_runs
            course = Course(samples_ms=repeat(infer, min_seconds=seconds, min_runs=runs))
        else:
            course = settle(infer, task.sustained, root=_ROOT)
    joules = energy.joules()
    foreign_load = meter.foreign_share()
    steady_rss_bytes = memory.resident_bytes()
    steady_anonymous_bytes = memory.held().anonymous

    picture = Image.fromarray(subject.vectors.images[0])
    logits = network.logits(inputs)[0]
    return Measured(
        samples_ms=course.samples_ms,
        settled_from=course.settled_from,
        first_minute_p50_ms=course.first_minute_p50_ms,
        is_stationary=course.is_stationary,
        windows=list(course.windows),
        preprocess_ms=_side_step_ms(lambda: images.network_input(picture, rule)),
        postprocess_ms=_side_step_ms(lambda: rank(logits, subject.labels, _RANKED)),
        steady_rss_bytes=steady_rss_bytes,
        steady_anonymous_bytes=steady_anonymous_bytes,
        peak_rss_bytes=memory.held().peak,
        foreign_load=foreign_load,
        energy_mj=per_inference_mj(joules, len(course.samples_ms)),
    )


def settle(
    work: Work,
    sustained: Sustained,
    *,
    root: Path,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> Course:
    """Samples of `work` until its latency is stationary or the time is up.

    Heat and clock rate are read between the windows and so cost the samples nothing. `clock`
    tells nanoseconds.
    """
    samples_ms: list[float] = []
    windows: list[Window] = []
    starts: list[int] = []
    elapsed_s = 0.0
    settled = False
    while not settled and (elapsed_s < sustained.max_seconds or len(windows) < _LEAST_WINDOWS):
        starts.append(len(samples_ms))
        took_ms = repeat(
            work, min_seconds=sustained.window_s, min_runs=_RUNS_IN_WINDOW, clock=clock
        )
        samples_ms += took_ms
        elapsed_s += sum(took_ms) / 1e3
        windows.append(
            Window(
                at_s=elapsed_s,
                n=len(took_ms),
                p50_ms=statistics.median(took_ms),
                temperature_c=temperature_c(root),
                clock_mhz=clock_mhz(root),
            )
        )
        settled = len(windows) >= _LEAST_WINDOWS and is_stationary(windows)
    first_minute = samples_ms[: starts[SPAN]]
    return Course(
        samples_ms=samples_ms,
        settled_from=starts[-SPAN],
        first_minute_p50_ms=statistics.median(first_minute),
        is_stationary=settled,
        windows=tuple(windows),
    )


def _side_step_ms(work: Work) -> float:
    return typical_ms(work, max_seconds=_SIDE_STEP_SECONDS, max_runs=_SIDE_STEPS)
