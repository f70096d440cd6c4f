"""The process that runs bundles to time them: `python -m builder.measuring.timing_worker`.

It is a process of its own, so that a network that crashes takes nothing else with it.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import Tensor

from builder.bundles.torchscript import ScriptedNetwork
from builder.data.images import to_input
from builder.errors import BuilderError, ExportError, first_line
from builder.measuring.host import keep_to_idlest_core
from builder.measuring.race import Effort, race
from builder.measuring.timing_protocol import Preparation, TimingAnswer, TimingOrder
from builder.quantization.engine import Engine, engine_selected
from contract.bundle import GOLDEN_IMAGES, GOLDEN_LOGITS, GOLDEN_NAME, read_extra, read_manifest
from contract.errors import ContractError
from contract.manifest import Manifest, Scheme
from contract.numerics import golden_tolerance

_THREADS = 1
_CHOOSING = Effort(min_seconds=0.2, max_seconds=1.0, min_rounds=6, burst_seconds=0.03)
_MEASURING = Effort(min_seconds=1.0, max_seconds=4.0, min_rounds=15, burst_seconds=0.05)
#: Graphs warm up in their first calls: torch.jit profiles, then compiles.
_WARM_UP_CALLS = 3


@dataclass(frozen=True, kw_only=True)
class _Runner:
    """A prepared network and one of its golden images."""

    preparation: Preparation
    network: ScriptedNetwork
    image: Tensor

    def __call__(self) -> None:
        self.network.logits(self.image)


class _Worker:
    def __init__(self) -> None:
        self._base_path: str | None = None
        self._base: _Runner | None = None

    def answer(self, order: TimingOrder) -> TimingAnswer:
        base = self._base_runner(order.base_path)
        manifest = read_manifest(Path(order.path))
        with _engine_of(manifest):
            same = order.path == order.base_path
            subject = base if same else _prepared(Path(order.path), manifest)
            result = race([base] if same else [subject, base], _MEASURING)
        return TimingAnswer(
            preparation=subject.preparation,
            bursts_ms=list(result.bursts_ms[0]),
            base_bursts_ms=list(result.bursts_ms[-1]),
            cpu_share=result.cpu_share,
        )

    def _base_runner(self, path: str) -> _Runner:
        if self._base is None or self._base_path != path:
            manifest = read_manifest(Path(path))
            with _engine_of(manifest):
                self._base, self._base_path = _prepared(Path(path), manifest), path
        return self._base


def main() -> None:
    """Answer each order on stdin with a line on stdout, until stdin ends."""
    torch.set_num_threads(_THREADS)
    torch.set_num_interop_threads(1)
    # Denormal numbers cost a hundredfold and change no answer.
    torch.set_flush_denormal(True)
    keep_to_idlest_core()
    # What torch prints must not stand between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    worker = _Worker()
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=TimingOrder)
        try:
            answer = worker.answer(order)
        except (BuilderError, ContractError, OSError, RuntimeError, ValueError, KeyError) as error:
            answer = TimingAnswer(failure=first_line(error))
        answers.write(msgspec.json.encode(answer) + b"\n")
        answers.flush()


def _engine_of(manifest: Manifest) -> AbstractContextManager[None]:
    """Integer kernels that a bundle was made for: weights are packed for them on loading."""
    engine = manifest.quantization.engine
    return nullcontext() if engine is None else engine_selected(Engine(engine))


def _prepared(path: Path, manifest: Manifest) -> _Runner:
    """Load a bundle, and prepare it the way that measures faster here.

    Static INT8 has nothing to rewrite. Of the others both ways are timed: seen on one core of
    an AMD EPYC (Zen 5), rewriting ResNet-18 makes it 1.4 times as fast at 64 px and half as
    fast at 32 px.
    """
    image, golden = _golden(path, manifest)
    ways = [Preparation.FROZEN, Preparation.OPTIMIZED]
    if manifest.quantization.scheme is Scheme.STATIC_INT8:
        ways = [Preparation.FROZEN]
    runners: list[_Runner] = []
    failures: list[Exception] = []
    for way in [*ways, Preparation.AS_BUILT]:
        if way is Preparation.AS_BUILT and runners:
            break
        try:
            runners.append(_checked(path, manifest, way, image, golden))
        except (ExportError, RuntimeError, torch.jit.Error) as error:
            # Seen with torch 2.13: VGG at 64 px fails when rewritten, and runs when frozen.
            failures.append(error)
    if not runners:
        raise ExportError(first_line(failures[-1])) from failures[-1]
    return _fastest(runners)


def _checked(
    path: Path, manifest: Manifest, way: Preparation, image: Tensor, golden: Tensor
) -> _Runner:
    """Load and prepare one way; what then answers otherwise than the bundle says is no use."""
    engine = manifest.quantization.engine
    network = ScriptedNetwork.load(path)
    if way is Preparation.FROZEN:
        network = network.frozen()
    elif way is Preparation.OPTIMIZED:
        network = network.frozen(optimized=True)
    runner = _Runner(preparation=way, network=network, image=image)
    for _ in range(_WARM_UP_CALLS):
        logits = network.logits(image)
    tolerance = golden_tolerance(manifest.quantization.scheme, built_for=engine, runs_on=engine)
    error = float((logits.float() - golden).abs().max())
    if not error <= tolerance * float(golden.max() - golden.min()):
        message = f"its logits differ by {error:.3g} from the golden ones when {way}"
        raise ExportError(message)
    return runner


def _fastest(runners: Sequence[_Runner]) -> _Runner:
    if len(runners) == 1:
        return runners[0]
    bursts = race(runners, _CHOOSING).bursts_ms
    return runners[min(range(len(runners)), key=lambda n: float(np.median(bursts[n])))]


def _golden(path: Path, manifest: Manifest) -> tuple[Tensor, Tensor]:
    """First golden image as input [1, 3, H, W], and its logits [1, classes]."""
    # Pickled objects could run code: only plain arrays are read.
    with np.load(io.BytesIO(read_extra(path, GOLDEN_NAME)), allow_pickle=False) as archive:
        images, logits = archive[GOLDEN_IMAGES][:1], archive[GOLDEN_LOGITS][:1]
    return to_input(images, manifest.preprocessing), torch.from_numpy(logits)


if __name__ == "__main__":
    main()
