"""What a processor has to do for one image, as the features of the latency model."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from contract.manifest import Scheme


class LayerKind(enum.Enum):
    """Layers that use a processor in the same manner."""

    #: A convolution whose filters see neighbours, grouped ones included.
    DENSE = "dense"
    #: A convolution of 1 x 1: a product of matrices.
    POINTWISE = "pointwise"
    #: A convolution of each channel by itself: little arithmetic for what it reads.
    DEPTHWISE = "depthwise"
    LINEAR = "linear"
    #: Pooling and the like: memory alone.
    ELEMENTWISE = "elementwise"


class Arithmetic(enum.Enum):
    """Numbers that a layer computes with."""

    FP32 = "fp32"
    INT8 = "int8"
    BF16 = "bf16"


_BYTES = {Arithmetic.FP32: 4, Arithmetic.INT8: 1, Arithmetic.BF16: 2}
_COMPUTING = (LayerKind.DENSE, LayerKind.POINTWISE, LayerKind.DEPTHWISE, LayerKind.LINEAR)


@dataclass(frozen=True, kw_only=True)
class LayerShape:
    """Work of one layer for one image."""

    kind: LayerKind
    macs: int
    weight_elements: int
    output_elements: int


@dataclass(frozen=True, kw_only=True)
class Effort:
    """Work in one arithmetic, all layers together."""

    dense_macs: int = 0
    pointwise_macs: int = 0
    depthwise_macs: int = 0
    linear_macs: int = 0
    #: Weights read.
    weight_bytes: int = 0
    #: Outputs written.
    activation_bytes: int = 0
    #: Layers, each of which starts a kernel.
    launches: int = 0

    def features(self) -> tuple[float, ...]:
        """Everything that takes time; each figure adds to it and none takes from it."""
        return (
            self.dense_macs,
            self.pointwise_macs,
            self.depthwise_macs,
            self.linear_macs,
            self.weight_bytes,
            self.activation_bytes,
            self.launches,
        )


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Work of one variant for one image, by the arithmetic that it is done in."""

    efforts: dict[Arithmetic, Effort]

    @classmethod
    def of(cls, layers: Iterable[LayerShape], scheme: Scheme) -> Workload:
        """Sum up `layers` as `scheme` computes them."""
        shared: dict[Arithmetic, list[LayerShape]] = {}
        for layer in layers:
            shared.setdefault(_arithmetic(layer.kind, scheme), []).append(layer)
        return cls(efforts={key: _sum_up(part, _BYTES[key]) for key, part in shared.items()})

    def features(self) -> list[float]:
        """Return the figures of every arithmetic in a fixed order, zeros for those not used."""
        nothing = Effort()
        return [x for key in Arithmetic for x in self.efforts.get(key, nothing).features()]


def _arithmetic(kind: LayerKind, scheme: Scheme) -> Arithmetic:
    if scheme is Scheme.STATIC_INT8:
        return Arithmetic.INT8
    if scheme is Scheme.BF16:
        return Arithmetic.BF16
    if scheme is Scheme.DYNAMIC_INT8 and kind is LayerKind.LINEAR:
        return Arithmetic.INT8
    return Arithmetic.FP32


def _sum_up(layers: list[LayerShape], element_bytes: int) -> Effort:
    macs = {
        f"{kind.value}_macs": sum(layer.macs for layer in layers if layer.kind is kind)
        for kind in _COMPUTING
    }
    return Effort(
        **macs,
        weight_bytes=element_bytes * sum(layer.weight_elements for layer in layers),
        activation_bytes=element_bytes * sum(layer.output_elements for layer in layers),
        launches=len(layers),
    )
