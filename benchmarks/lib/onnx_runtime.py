"""ONNX Runtime: FP32, and static INT8 by its own quantizer, on one thread."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lib.contender import Contender, Floats, Framework
from benchmarks.lib.onnx_file import INPUT
from benchmarks.lib.setup import OnnxSource, Setup, timed
from contract.manifest import Scheme


def make_contenders(setup: Setup, source: OnnxSource) -> Iterator[Contender]:
    """FP32 as the file stands, and static INT8 from the same calibration images as ours."""
    framework, subject = Framework.ONNX_RUNTIME, setup.subject
    floats = load_network(source.path)
    size = source.path.stat().st_size
    yield source.contender(setup, framework, Scheme.FP32, floats, size=size, seconds=0.0)
    target = setup.scratch / f"{subject.architecture}-int8.onnx"
    setup.progress.update(f"{subject.architecture}: quantizing for ONNX Runtime", 0, 1)
    seconds = timed(
        lambda: quantize(
            source.path,
            target,
            subject.calibration,
            has_int8_dot_products=setup.has_int8_dot_products,
        )
    )
    size, int8 = target.stat().st_size, load_network(target)
    yield source.contender(setup, framework, Scheme.STATIC_INT8, int8, size=size, seconds=seconds)


def load_network(path: Path) -> Callable[[Floats], Floats]:
    """Logits by the ONNX file, on the calling thread alone."""
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def logits(image: Floats) -> Floats:
        return np.asarray(session.run(None, {INPUT: image})[0])

    return logits


def quantize(
    source: Path,
    target: Path,
    calibration: Sequence[Floats],
    *,
    has_int8_dot_products: bool,
) -> None:
    """Write the static INT8 form of an ONNX file, as ONNX Runtime's guide advises.

    QDQ form, weights INT8 per channel, activations UINT8 by minimum and maximum. Without
    dot products the kernels add pairs in 16 bits, so that weights keep to 7 bits.
    """
    quantization: Any = importlib.import_module("onnxruntime.quantization")
    shapes: Any = importlib.import_module("onnxruntime.quantization.shape_inference")
    prepared = target.with_suffix(".prepared.onnx")
    root_logger = logging.getLogger()
    level = root_logger.level
    # It advises on the root logger what is done here already.
    root_logger.setLevel(logging.ERROR)
    try:
        shapes.quant_pre_process(str(source), str(prepared))
        quantization.quantize_static(
            str(prepared),
            str(target),
            _reader(quantization.CalibrationDataReader, calibration),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=not has_int8_dot_products,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
    finally:
        root_logger.setLevel(level)
        prepared.unlink(missing_ok=True)


def _reader(base: Any, calibration: Sequence[Floats]) -> Any:  # noqa: ANN401 - of an untyped package
    """Make the iterator that the quantizer asks for, a subclass of its own class."""
    inputs: Iterator[Floats] = iter(calibration)

    def get_next(_self: object) -> dict[str, Floats] | None:
        image = next(inputs, None)
        return None if image is None else {INPUT: image}

    return type("Reader", (base,), {"get_next": get_next})()
