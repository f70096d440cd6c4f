"""One task in a process of its own: `python -m agent.worker`, JSON lines over pipes.

The worker reads one task from standard input and writes events to standard output. Where it
dies, only it dies: the supervisor turns the death into a recorded result.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from agent import images, memory
from agent.affinity import keep_to_cores
from agent.answering import Queries, Tagger, refusal
from agent.errors import AgentError, NetworkError, UnsupportedNetworkError
from agent.examination import examine
from agent.golden import compare, read_golden
from agent.measuring import measure
from agent.network import Runtime
from agent.predictions import rank
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
    Predict,
    Predicted,
    Serve,
    Stage,
    Task,
)
from agent.subject import Subject
from agent.timing import Stopwatch, typical_ms
from contract.benchmark import RunStatus
from contract.bundle import read_labels, read_manifest
from contract.errors import BundleError
from contract.manifest import Format
from contract.numerics import golden_tolerance

_ROOT = Path("/")
_ANSWER_REPEATS = 5
_ANSWER_SECONDS = 0.5
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
    # Either thread also notices that the supervisor is gone.
    queries = Queries(sys.stdin.buffer) if isinstance(task, Serve) else None
    if queries is None:
        threading.Thread(target=_die_with_supervisor, daemon=True).start()
    try:
        if isinstance(task, Serve) and queries is not None:
            _serve(task, queries, send)
        else:
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
    affinity_problem = keep_to_cores(_ROOT, task.threads)
    send(Entered(stage=Stage.STARTING))
    match task:
        case ListEngines():
            runtime = _runtime(Format.TORCHSCRIPT, task.threads)
            send(Engines(engines=runtime.engines()))
        case Bench():
            subject = _ready(task, affinity_problem, send)
            if subject is not None:
                send(measure(task, subject, send))
                if task.examination is not None:
                    send(Entered(stage=Stage.EXAMINING))
                    send(examine(task.examination, subject))
        case Predict():
            refused = refusal([Path(i).read_bytes() for i in task.images if task.is_foreign])
            if refused is not None:
                send(refused)
                return
            subject = _ready(task, affinity_problem, send)
            if subject is not None:
                send(Entered(stage=Stage.ANSWERING))
                send(Predicted(answers=[_answer(image, task, subject) for image in task.images]))


def _serve(task: Serve, queries: Queries, send: Send) -> None:
    send(Entered(stage=Stage.STARTING))
    # Not held to its cores: over weeks, the idlest core of today is another one's tomorrow.
    subject = _ready(task, None, send)
    if subject is not None:
        tagger = Tagger(
            subject.network,
            subject.manifest,
            subject.labels,
            fast_decode=task.fast_decode,
        )
        send(Entered(stage=Stage.WARMING))
        tagger.warm_up(subject.vectors.images[0])
        send(Entered(stage=Stage.SERVING))
        for query, content in queries:
            send(tagger.answer(content, query.top_k))


def _ready(
    task: Bench | Predict | Serve,
    affinity_problem: str | None,
    send: Send,
) -> Subject | None:
    """Load and prove a bundle; None where its numerics are wrong here."""
    path = Path(task.bundle)
    manifest = read_manifest(path)
    vectors = read_golden(path, manifest)
    inputs = images.standardize(vectors.images, manifest.preprocessing)
    runtime = _runtime(manifest.format, task.threads)
    gc.collect()
    baseline_rss_bytes = memory.resident_bytes()
    peak_was_reset = memory.reset_peak()

    send(Entered(stage=Stage.LOADING))
    watch = Stopwatch()
    network = runtime.load(path, manifest.quantization, task.preparation)
    load_ms = watch.elapsed_ms()
    send(Entered(stage=Stage.FIRST))
    watch = Stopwatch()
    network.logits(inputs[:1])
    first_ms = watch.elapsed_ms()
    send(
        Loaded(
            engine=network.engine,
            baseline_rss_bytes=baseline_rss_bytes,
            loaded_rss_bytes=memory.resident_bytes(),
            load_ms=load_ms,
            first_ms=first_ms,
            peak_was_reset=peak_was_reset,
            preparation=task.preparation,
            affinity_problem=affinity_problem,
        ),
    )
    send(Entered(stage=Stage.CHECKING))
    subject = Subject(manifest, read_labels(path), vectors, network)
    return subject if _is_proven(subject, inputs, send) else None


def _is_proven(subject: Subject, inputs: npt.NDArray[np.float32], send: Send) -> bool:
    network, manifest = subject.network, subject.manifest
    # One image at a time, as it is measured and served.
    logits = [network.logits(inputs[i : i + 1]) for i in range(len(inputs))]
    tolerance = golden_tolerance(
        manifest.quantization.scheme,
        built_for=manifest.quantization.engine,
        runs_on=network.engine,
    )
    verdict = compare(subject.vectors.logits, np.concatenate(logits), tolerance=tolerance)
    send(Checked(golden=verdict))
    if not verdict.ok:
        reason = (
            f"golden logits differ by {verdict.max_error:.3g} of their range, "
            f"expected at most {verdict.tolerance:g}: the kernels of this CPU or torch "
            "compute something else"
        )
        send(Failed(status=RunStatus.WRONG_NUMERICS, reason=reason))
    return verdict.ok


def _answer(image: str, task: Predict, subject: Subject) -> Answer:
    network, path = subject.network, Path(image)
    watch = Stopwatch()
    is_foreign = task.is_foreign
    picture = images.decode_image(path.read_bytes()) if is_foreign else images.open_image(path)
    decode_ms = watch.elapsed_ms()
    watch = Stopwatch()
    inputs = images.network_input(picture, subject.manifest.preprocessing)
    preprocess_ms = watch.elapsed_ms()
    logits = network.logits(inputs)[0]
    # The median of a few, for one alone says more of the neighbours than of the variant.
    with network.repeating(inputs) as infer:
        inference_ms = typical_ms(infer, max_seconds=_ANSWER_SECONDS, max_runs=_ANSWER_REPEATS)
    watch = Stopwatch()
    top = rank(logits, subject.labels, task.top_k)
    return Answer(
        image=image,
        top=top,
        decode_ms=decode_ms,
        preprocess_ms=preprocess_ms,
        inference_ms=inference_ms,
        postprocess_ms=watch.elapsed_ms(),
    )


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


def _die_with_supervisor() -> None:
    """End when the pipe closes: a worker must not outlive a supervisor that was killed."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(_ORPHANED)


if __name__ == "__main__":
    main()
