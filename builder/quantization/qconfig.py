"""How weights and activations are observed and rounded, for each engine."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.ao.quantization import (
    HistogramObserver,
    PerChannelMinMaxObserver,
    QConfig,
    QConfigMapping,
    get_default_qconfig_mapping,
)
from torch.ao.quantization.backend_config import (
    BackendConfig,
    BackendPatternConfig,
    ObservationType,
    get_native_backend_config,
    get_onednn_backend_config,
)
from torch.ao.quantization.backend_config.native import default_op_quint8_dtype_config

from builder.quantization.clipping import clipping_bounds
from builder.quantization.engine import Engine

#: Of the largest channel's. What is smaller is far below one step of the output.
_LEAST_SCALE = 2.0**-12


class ClippedObserver(HistogramObserver):
    """Histogram of what is left of the activations after they are clipped.

    A convolution before ReLU6 may well reach 30. Observed as it is, it would spend most of its
    256 steps on values that the next step cuts off.
    """

    def __init__(self, low: float, high: float, **arguments: Any) -> None:  # noqa: ANN401 - torch's own
        super().__init__(**arguments)
        self._low, self._high = low, high

    def forward(self, x_orig: Tensor) -> Tensor:
        """Take note of a batch of activations and give them back as they came."""
        super().forward(x_orig.clamp(self._low, self._high))
        return x_orig


class ChannelObserver(PerChannelMinMaxObserver):
    """Range of the weights of each channel, dead ones in steps that leave room for their bias.

    A channel that training has killed has weights of nothing and all of its output from the
    bias. In steps of its own weights that bias does not fit the 32 bits that kernels have for
    it: seen on EfficientNet-Lite0, whose stem then gave the wrong sign on qnnpack.
    """

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Scale and zero point of each channel."""
        scale, zero_point = super().calculate_qparams()
        return scale.clamp(min=float(scale.max()) * _LEAST_SCALE), zero_point


def qconfig_mapping(engine: Engine, graph: fx.GraphModule) -> QConfigMapping:
    """Observers for `graph`: weights per channel, activations by histogram.

    x86 keeps one of 8 bits of activations free, for its kernels add two products in 16 bits
    on processors without VNNI, where that overflows; a bundle may come to run on such. The
    onednn engine is for processors with VNNI and uses all 8; so does qnnpack.
    """
    reduces = engine is Engine.X86
    weight = ChannelObserver.with_args(dtype=torch.qint8, qscheme=torch.per_channel_symmetric)
    standard = QConfig(  # type: ignore[no-untyped-call]
        activation=HistogramObserver.with_args(reduce_range=reduces),
        weight=weight,
    )
    # What x86 cannot have per channel, such as transposed convolutions, no engine can.
    mapping = get_default_qconfig_mapping("x86")
    default = mapping.global_qconfig
    mapping.set_global(standard)
    for kind, qconfig in list(mapping.object_type_qconfigs.items()):
        if qconfig == default:
            mapping.set_object_type(kind, standard)
    for name, (low, high) in _clipped_layers(graph).items():
        clipped = QConfig(  # type: ignore[no-untyped-call]
            activation=ClippedObserver.with_args(low=low, high=high, reduce_range=reduces),
            weight=weight,
        )
        mapping.set_module_name(name, clipped)
    return mapping


def backend_config(engine: Engine) -> BackendConfig:
    """What the engine's integer kernels can do; adding zeros at the edges is among it.

    Those of onednn add a residual branch inside the convolution: one pass over memory less
    for each block of a ResNet.
    """
    is_onednn = engine is Engine.ONEDNN
    config = get_onednn_backend_config() if is_onednn else get_native_backend_config()
    for pattern in (torch.constant_pad_nd, nn.ZeroPad2d):
        config.set_backend_pattern_config(
            BackendPatternConfig(pattern)
            .set_observation_type(ObservationType.OUTPUT_SHARE_OBSERVER_WITH_INPUT)
            .add_dtype_config(default_op_quint8_dtype_config)
        )
    return config


def _clipped_layers(graph: fx.GraphModule) -> dict[str, tuple[float, float]]:
    """Convolutions and Linears whose outputs nobody sees but a clipping, and its bounds."""
    clipped = {}
    modules = dict(graph.named_modules())
    for node in graph.graph.nodes:
        bounds = clipping_bounds(node, modules)
        source = node.all_input_nodes[0] if bounds and len(node.all_input_nodes) == 1 else None
        if source is not None and _is(source, modules, nn.BatchNorm2d):
            source = _sole(source) and source.all_input_nodes[0]
        if bounds and source and _sole(source) and _is(source, modules, nn.Conv2d, nn.Linear):
            clipped[str(source.target)] = bounds
    return clipped


def _sole(node: fx.Node) -> bool:
    return len(node.users) == 1


def _is(node: fx.Node, modules: dict[str, nn.Module], *kinds: type[nn.Module]) -> bool:
    return node.op == "call_module" and type(modules[str(node.target)]) in kinds
