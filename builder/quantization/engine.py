"""Integer kernels: which there are, and selecting one."""

from __future__ import annotations

import contextlib
import enum
import platform
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from builder.errors import UnsupportedError
from builder.quantization.instructions import PROCESSOR, VNNI, host_has

_ARM = frozenset({"aarch64", "arm64", "armv7l"})
#: FX shares one range among what it concatenates, but pooling keeps its input's. Seen on
#: Inception, GoogLeNet and DenseNet: no farther from FP32 than concatenation in floats.
_CONCATENATION = r"All inputs of this cat operator must share the same quantization parameters"


class Engine(enum.StrEnum):
    """Integer kernels that a bundle can be prepared for."""

    X86 = "x86"
    ONEDNN = "onednn"
    QNNPACK = "qnnpack"


def host_engine() -> Engine:
    """Engine for processors like this host's that every one of them can run.

    On x86 that is not `onednn`, though it is the faster one where there is VNNI, above all for
    depthwise convolutions: without VNNI its 8-bit products overflow. `--engine x86 --engine
    onednn` builds for both, and each box takes what it measures to be right and fast.
    """
    return Engine.QNNPACK if _is_arm() else Engine.X86


def engine_obstacle(engine: Engine, processor: Path = PROCESSOR) -> str | None:
    """Why a bundle for `engine` cannot be examined on this host; None where it can.

    Seen on an x86 processor without VNNI: EfficientNet-Lite0 for onednn gave two of eight images
    the class that it gives them in floats, and its golden vectors would be as wrong.

    Args:
        engine: whose kernels compute.
        processor: as Linux describes it.
    """
    if engine is not Engine.ONEDNN or _is_arm() or host_has(VNNI, processor):
        return None
    return (
        "engine 'onednn': this processor has no VNNI (lscpu: avx512_vnni or avx_vnni), without "
        "which its 8-bit products overflow, so accuracy and golden vectors would be wrong; build "
        "for x86, or on a processor that has it"
    )


def _is_arm() -> bool:
    return platform.machine().lower() in _ARM


@contextlib.contextmanager
def engine_selected(engine: Engine) -> Iterator[None]:
    """Select the engine that packs weights and runs integer kernels; it is process-wide.

    Raises:
        UnsupportedError: this torch has no such engine.
    """
    available = torch.backends.quantized.supported_engines
    if engine not in available:
        message = f"engine '{engine}': this torch has {', '.join(available)}; choose one of them"
        raise UnsupportedError(message)
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = engine.value
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=_CONCATENATION)
            yield
    finally:
        torch.backends.quantized.engine = before
