"""Static INT8 by FX graph mode: weights per channel, activation ranges by histogram."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, fx, nn
from torch.ao.quantization import (
    HistogramObserver,
    QConfig,
    QConfigMapping,
    default_per_channel_weight_observer,
    get_default_qconfig_mapping,
)
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from builder.errors import UnsupportedError, first_line
from builder.quantization.deprecation import deprecations_filtered
from builder.quantization.engine import Engine


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
    with deprecations_filtered():
        try:
            prepared = prepare_fx(copy.deepcopy(network), _qconfig_mapping(engine), (first,))
        except Exception as error:
            # Symbolic tracing runs the network's own code on stand-ins: it may raise anything.
            culprit = _untraceable(network)
            message = f"FX cannot trace {culprit}: {first_line(error)}"
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
            message = f"it does not run in static INT8: {first_line(error)}"
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
