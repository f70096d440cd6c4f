"""OpenVINO: FP32, and static INT8 by NNCF, on one thread."""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lib.contender import Contender, Floats, Framework
from benchmarks.lib.setup import OnnxSource, Setup, timed
from contract.manifest import Scheme

#: With the variable NNCF reports to nobody; without, it sends statistics of its use.
_NO_TELEMETRY = "NNCF_CI"
_SETTINGS = {
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    # Else FP32 networks run in bfloat16 where the processor has it.
    "INFERENCE_PRECISION_HINT": "f32",
    # The process is held to one core already.
    "ENABLE_CPU_PINNING": False,
}


def make_contenders(setup: Setup, source: OnnxSource) -> Iterator[Contender]:
    """FP32, and static INT8 from the same calibration images as ours."""
    framework, subject = Framework.OPENVINO, setup.subject
    target = setup.scratch / f"{subject.architecture}.xml"
    seconds = timed(lambda: write_floats(source.path, target))
    size, floats = bytes_on_disk(target), load_network(target)
    yield source.contender(setup, framework, Scheme.FP32, floats, size=size, seconds=seconds)
    target = setup.scratch / f"{subject.architecture}-int8.xml"
    setup.progress.update(f"{subject.architecture}: quantizing for OpenVINO", 0, 1)
    seconds = timed(lambda: quantize(source.path, target, subject.calibration))
    size, int8 = bytes_on_disk(target), load_network(target)
    yield source.contender(setup, framework, Scheme.STATIC_INT8, int8, size=size, seconds=seconds)


def load_network(path: Path) -> Callable[[Floats], Floats]:
    """Logits by an ONNX file or an OpenVINO `.xml`, on one thread."""
    openvino: Any = importlib.import_module("openvino")
    compiled = openvino.Core().compile_model(str(path), "CPU", _SETTINGS)
    request = compiled.create_infer_request()

    def logits(image: Floats) -> Floats:
        outputs = request.infer({0: image}, share_inputs=True)
        return np.asarray(outputs[0])

    return logits


def write_floats(source: Path, target: Path) -> None:
    """Write an ONNX file as OpenVINO's `.xml` and `.bin`, weights in FP32."""
    openvino: Any = importlib.import_module("openvino")
    openvino.save_model(openvino.Core().read_model(str(source)), target, compress_to_fp16=False)


def quantize(source: Path, target: Path, calibration: Sequence[Floats]) -> None:
    """Write the static INT8 form by NNCF's post-training quantization, with its defaults."""
    os.environ.setdefault(_NO_TELEMETRY, "1")
    openvino: Any = importlib.import_module("openvino")
    nncf: Any = importlib.import_module("nncf")
    logging.getLogger("nncf").setLevel(logging.ERROR)
    network = openvino.Core().read_model(str(source))
    # Its progress bars go to stdout, where a benchmark may be printing JSON.
    with contextlib.redirect_stdout(sys.stderr):
        quantized = nncf.quantize(network, nncf.Dataset(calibration), subset_size=len(calibration))
    openvino.save_model(quantized, target, compress_to_fp16=False)


def bytes_on_disk(path: Path) -> int:
    """Bytes of an `.xml` and the weights beside it."""
    return path.stat().st_size + path.with_suffix(".bin").stat().st_size
