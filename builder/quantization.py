"""INT8 by PyTorch's own quantization: dynamic for Linears, static for whole graphs."""

from __future__ import annotations

import contextlib
import copy
import enum
import platform
import warnings
from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, fx, nn
from torch.ao.quantization import (
    HistogramObserver,
    QConfig,
    QConfigMapping,
    default_per_channel_weight_observer,
    get_default_qconfig_mapping,
    quantize_dynamic,
)
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from builder.errors import UnsupportedError

_ARM = frozenset({"aarch64", "arm64", "armv7l"})
_DEPRECATED = (
    r"torch\.ao\.quantization is deprecated",
    r"torch\.quantize_per_tensor, torch\.quantize_per_channel and other .* are deprecated",
    r"Please use quant_min and quant_max to specify the range for observers",
)
#: FX shares one range among what it concatenates, but pooling keeps its input's. Seen on
#: Inception, GoogLeNet and DenseNet: no farther from FP32 than concatenation in floats.
_CONCATENATION = r"All inputs of this cat operator must share the same quantization parameters"


class Engine(enum.StrEnum):
    """Integer kernels that a bundle can be prepared for."""

    X86 = "x86"
    QNNPACK = "qnnpack"


def host_engine() -> Engine:
    """Engine for processors like this host's."""
    return Engine.QNNPACK if platform.machine().lower() in _ARM else Engine.X86


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


def quantize_linears(network: nn.Module, example: Tensor) -> nn.Module:
    """Copy of `network` with dynamic INT8 in every Linear; the engine must be selected.

    Args:
        network: in evaluation mode.
        example: an input that it takes, float32 [1, 3, H, W].

    Raises:
        UnsupportedError: it has no Linear, or does not run with those replaced.
    """
    if not any(type(module) is nn.Linear for module in network.modules()):
        message = "dynamic INT8 covers Linear layers and this network has none"
        raise UnsupportedError(message)
    with _deprecations_filtered():
        quantized: nn.Module = quantize_dynamic(network, {nn.Linear}, dtype=torch.qint8)  # type: ignore[no-untyped-call]
    try:
        with torch.inference_mode():
            quantized(example)
    except Exception as error:
        # The network's own code, which may reach into the layers that were replaced.
        message = f"it does not run with dynamic INT8 Linears: {_first_line(error)}"
        raise UnsupportedError(message) from error
    return quantized


def quantize_graph(network: nn.Module, inputs: Iterable[Tensor], engine: Engine) -> nn.Module:
    """Copy of `network` with static INT8 in its convolutions and Linears.

    FX graph mode: weights per channel, activations by histogram. The engine must be selected.

    Args:
        network: in evaluation mode.
        inputs: calibration batches, float32 [N, 3, H, W]; activation ranges come from them.
        engine: whose ranges and rounding to prepare for.

    Raises:
        UnsupportedError: FX cannot trace the network (it names the module), or the network
            does not survive the conversion.
    """
    batches = iter(inputs)
    first = next(batches)
    with _deprecations_filtered():
        try:
            prepared = prepare_fx(copy.deepcopy(network), _qconfig_mapping(engine), (first,))
        except Exception as error:
            # Symbolic tracing runs the network's own code on stand-ins: it may raise anything.
            culprit = _untraceable(network)
            message = f"FX cannot trace {culprit}: {_first_line(error)}"
            raise UnsupportedError(message) from error
        try:
            with torch.inference_mode():
                prepared(first)
                for batch in batches:
                    prepared(batch)
                quantized: nn.Module = convert_fx(prepared)
                quantized(first)
        except OSError:
            # From whatever reads the calibration images.
            raise
        except Exception as error:
            # Likewise the network's own code, now in pieces.
            message = f"it does not run in static INT8: {_first_line(error)}"
            raise UnsupportedError(message) from error
    return quantized


def int8_modules(network: nn.Module) -> set[str]:
    """Names of the modules that compute in INT8; functional calls are not among them."""
    return {
        name
        for name, module in network.named_modules()
        if ".quantized." in type(module).__module__ and hasattr(module, "weight")
    }


def _qconfig_mapping(engine: Engine) -> QConfigMapping:
    mapping = get_default_qconfig_mapping(engine.value)
    if engine is Engine.QNNPACK:
        # Its default weighs per tensor; the kernels have long known per channel.
        per_tensor = mapping.global_qconfig
        per_channel = QConfig(  # type: ignore[no-untyped-call]
            activation=HistogramObserver.with_args(reduce_range=False),
            weight=default_per_channel_weight_observer,
        )
        mapping.set_global(per_channel)
        for kind, qconfig in list(mapping.object_type_qconfigs.items()):
            if qconfig == per_tensor:
                mapping.set_object_type(kind, per_channel)
    return mapping


def _untraceable(network: nn.Module) -> str:
    for name, module in network.named_modules():
        if _fails(module) and not any(_fails(child) for child in module.children()):
            kind = type(module).__name__
            return f"module '{name}' ({kind})" if name else f"the network itself ({kind})"
    return "the network as a whole"


def _fails(module: nn.Module) -> bool:
    tracer = fx.Tracer()
    if tracer.is_leaf_module(module, ""):
        return False
    try:
        tracer.trace(module)
    except Exception:  # noqa: BLE001 - tracing runs the network's own code, which may raise anything
        return True
    return False


@contextlib.contextmanager
def _deprecations_filtered() -> Iterator[None]:
    """Keep quiet about what torch says of its own future; the ADR on formats has the way out."""
    with warnings.catch_warnings():
        for message in _DEPRECATED:
            warnings.filterwarnings("ignore", message=message)
        yield


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
