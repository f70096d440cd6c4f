"""One task in a process of its own: `python -m agent.worker`, JSON lines over pipes.

The worker reads one task from standard input and writes events to standard output. Where it
dies, only it dies: the supervisor turns the death into a recorded result.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from PIL import Image

from agent import images, memory
from agent.errors import AgentError, NetworkError, UnsupportedNetworkError
from agent.golden import GoldenVectors, compare, read_golden
from agent.network import Network, Runtime
from agent.predictions import rank
from agent.probes.load import LoadMeter
from agent.protocol import (
    Answer,
    Bench,
    Checked,
    Engines,
    Entered,
    Event,
    Failed,
    ListEngines,
    Loaded,
    Measured,
    Predict,
    Predicted,
    Stage,
    Task,
)
from contract.benchmark import RunStatus
from contract.bundle import read_labels, read_manifest
from contract.errors import BundleError
from contract.manifest import Format, Manifest
from contract.numerics import golden_tolerance

_WARM_UP_RUNS = 3
_WARM_UP_SECONDS = 0.2
#: Pre- and postprocessing are short: a median of this many says enough.
_SIDE_STEPS = 20
_SIDE_STEP_SECONDS = 0.25
_ANSWER_REPEATS = 5
_ANSWER_SECONDS = 0.5
_MS_PER_SECOND = 1000.0
_MS_PER_NS = 1e-6
_ORPHANED = 3

Send = Callable[[Event], None]


def main() -> None:
    """Do the task that stands on standard input."""
    # Libraries may print to standard output; ours is the copy that they do not know.
    events = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    encoder = msgspec.json.Encoder()

    def send(event: Event) -> None:
        events.write(encoder.encode(event) + b"\n")

    task = msgspec.json.decode(sys.stdin.buffer.readline(), type=Task)
    threading.Thread(target=_die_with_supervisor, daemon=True).start()
    try:
        _perform(task, send)
    except MemoryError as error:
        send(Failed(status=RunStatus.OOM, reason=f"memory: {error or 'allocation refused'}"))
    except UnsupportedNetworkError as error:
        send(Failed(status=RunStatus.UNSUPPORTED, reason=str(error)))
    except BundleError as error:
        send(Failed(status=RunStatus.DAMAGED, reason=str(error)))
    except (NetworkError, AgentError) as error:
        send(Failed(status=RunStatus.CRASHED, reason=str(error)))
    # Interpreter and library shutdown is time and risk without use: everything is sent.
    os._exit(0)


def _perform(task: Task, send: Send) -> None:
    affinity_problem = _keep_to_cores(task.threads)
    send(Entered(stage=Stage.STARTING))
    match task:
        case ListEngines():
            runtime = _runtime(Format.TORCHSCRIPT, task.threads)
            send(Engines(engines=runtime.engines()))
        case Bench():
            manifest, network = _ready(task, affinity_problem, send)
            if network is not None:
                send(_measure(task, manifest, network, send))
        case Predict():
            manifest, network = _ready(task, affinity_problem, send)
            if network is not None:
                send(Entered(stage=Stage.ANSWERING))
                labels = read_labels(Path(task.bundle))
                answers = [
                    _answer(Path(image), task.top_k, manifest, labels, network)
                    for image in task.images
                ]
                send(Predicted(answers=answers))


def _ready(
    task: Bench | Predict,
    affinity_problem: str | None,
    send: Send,
) -> tuple[Manifest, Network | None]:
    """Load and prove a bundle; no network where its numerics are wrong here."""
    path = Path(task.bundle)
    manifest = read_manifest(path)
    vectors = read_golden(path, manifest)
    inputs = images.standardize(vectors.images, manifest.preprocessing)
    runtime = _runtime(manifest.format, task.threads)
    gc.collect()
    baseline_rss_bytes = memory.resident_bytes()
    peak_was_reset = memory.reset_peak()

    send(Entered(stage=Stage.LOADING))
    started_ns = time.perf_counter_ns()
    network = runtime.load(path, manifest.quantization, task.preparation)
    load_ms = _since_ms(started_ns)
    send(Entered(stage=Stage.FIRST))
    started_ns = time.perf_counter_ns()
    network.logits(inputs[:1])
    first_ms = _since_ms(started_ns)
    send(
        Loaded(
            engine=network.engine,
            baseline_rss_bytes=baseline_rss_bytes,
            loaded_rss_bytes=memory.resident_bytes(),
            load_ms=load_ms,
            first_ms=first_ms,
            peak_was_reset=peak_was_reset,
            affinity_problem=affinity_problem,
        ),
    )
    send(Entered(stage=Stage.CHECKING))
    proven = _check(manifest, vectors, inputs, network, send)
    return manifest, network if proven else None


def _check(
    manifest: Manifest,
    vectors: GoldenVectors,
    inputs: npt.NDArray[np.float32],
    network: Network,
    send: Send,
) -> bool:
    # One image at a time, as it is measured and served.
    logits = [network.logits(inputs[i : i + 1]) for i in range(len(inputs))]
    tolerance = golden_tolerance(
        manifest.quantization.scheme,
        built_for=manifest.quantization.engine,
        runs_on=network.engine,
    )
    verdict = compare(vectors.logits, np.concatenate(logits), tolerance=tolerance)
    send(Checked(golden=verdict))
    if not verdict.ok:
        reason = (
            f"golden logits differ by {verdict.max_error:.3g} of their range, "
            f"expected at most {verdict.tolerance:g}: the kernels of this CPU or torch "
            "compute something else"
        )
        send(Failed(status=RunStatus.WRONG_NUMERICS, reason=reason))
    return verdict.ok


def _measure(task: Bench, manifest: Manifest, network: Network, send: Send) -> Measured:
    vectors = read_golden(Path(task.bundle), manifest)
    inputs = images.standardize(vectors.images, manifest.preprocessing)[:1]
    send(Entered(stage=Stage.WARMING))
    _repeat(lambda: network.logits(inputs), _WARM_UP_SECONDS, _WARM_UP_RUNS)
    send(Entered(stage=Stage.MEASURING))
    meter = LoadMeter(Path("/"), cores=_cores())
    samples_ms = _repeat(lambda: network.logits(inputs), task.min_seconds, task.min_runs)
    foreign_load = meter.foreign_share()
    steady_rss_bytes = memory.resident_bytes()

    picture = Image.fromarray(vectors.images[0])
    logits = network.logits(inputs)[0]
    labels = [str(i) for i in range(manifest.classes)]
    measured = Measured(
        samples_ms=samples_ms,
        preprocess_ms=_typical_ms(lambda: images.network_input(picture, manifest.preprocessing)),
        postprocess_ms=_typical_ms(lambda: rank(logits, labels, 3)),
        steady_rss_bytes=steady_rss_bytes,
        peak_rss_bytes=memory.peak_bytes(),
        foreign_load=foreign_load,
    )
    send(Entered(stage=Stage.DONE))
    return measured


def _answer(
    path: Path,
    top_k: int,
    manifest: Manifest,
    labels: list[str],
    network: Network,
) -> Answer:
    started_ns = time.perf_counter_ns()
    picture = images.open_image(path)
    decoded_ns = time.perf_counter_ns()
    inputs = images.network_input(picture, manifest.preprocessing)
    preprocess_ms = _since_ms(decoded_ns)
    logits = network.logits(inputs)[0]
    # The median of a few, for one alone says more of the neighbours than of the variant.
    repeats_ms = _repeat(lambda: network.logits(inputs), 0.0, 1)
    while len(repeats_ms) < _ANSWER_REPEATS and sum(repeats_ms) < _ANSWER_SECONDS * _MS_PER_SECOND:
        repeats_ms += _repeat(lambda: network.logits(inputs), 0.0, 1)
    ranked_ns = time.perf_counter_ns()
    top = rank(logits, labels, top_k)
    return Answer(
        image=str(path),
        top=top,
        decode_ms=(decoded_ns - started_ns) * _MS_PER_NS,
        preprocess_ms=preprocess_ms,
        inference_ms=statistics.median(repeats_ms),
        postprocess_ms=_since_ms(ranked_ns),
    )


def _repeat(work: Callable[[], object], min_seconds: float, min_runs: int) -> list[float]:
    """Milliseconds of each call, until both the time and the count are reached."""
    clock = time.perf_counter_ns
    samples_ns: list[int] = []
    gc.disable()
    try:
        end_ns = clock() + int(min_seconds * 1e9)
        before_ns = clock()
        while before_ns < end_ns or len(samples_ns) < min_runs:
            work()
            after_ns = clock()
            samples_ns.append(after_ns - before_ns)
            before_ns = clock()
    finally:
        gc.enable()
    return [sample * _MS_PER_NS for sample in samples_ns]


def _typical_ms(work: Callable[[], object]) -> float:
    end = time.monotonic() + _SIDE_STEP_SECONDS
    samples_ms = _repeat(work, 0.0, 1)
    while len(samples_ms) < _SIDE_STEPS and time.monotonic() < end:
        samples_ms += _repeat(work, 0.0, 1)
    return statistics.median(samples_ms)


def _runtime(kind: Format, threads: int) -> Runtime:
    """Start the runtime of a format; only here are the large libraries imported."""
    try:
        match kind:
            case Format.TORCHSCRIPT:
                from agent.torchscript import TorchScriptRuntime  # noqa: PLC0415 - 230 MB

                return TorchScriptRuntime(threads)
    except ImportError as error:
        message = f"format {kind.value}: {error}; install it: pip install 'edgewright[agent]'"
        raise UnsupportedNetworkError(message) from error


def _keep_to_cores(threads: int) -> str | None:
    """Hold this process to as many cores as it has threads; says why where it cannot."""
    if not hasattr(os, "sched_setaffinity"):
        return "this system has no CPU affinity"
    allowed = os.sched_getaffinity(0)
    if len(allowed) < threads:
        return f"{threads} threads share the {len(allowed)} cores that this process may use"
    try:
        os.sched_setaffinity(0, LoadMeter(Path("/"), cores=allowed).idlest(threads))
    except OSError as error:
        return f"CPU affinity was refused: {error.strerror}"
    return None


def _cores() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()


def _since_ms(started_ns: int) -> float:
    return (time.perf_counter_ns() - started_ns) * _MS_PER_NS


def _die_with_supervisor() -> None:
    """End when the pipe closes: a worker must not outlive a supervisor that was killed."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(_ORPHANED)


if __name__ == "__main__":
    main()
