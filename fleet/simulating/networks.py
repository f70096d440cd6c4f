"""Networks as their stages: what each multiplies, reads and writes for one image.

Shapes are those of the papers (He et al., Deep Residual Learning, CVPR 2016, table 1; Simonyan and
Zisserman, Very Deep Convolutional Networks, ICLR 2015, table 1, network E), so MACs and weights
follow from them and are not looked up.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

_CLASSES = 1000
_FULL_SIZE = 224


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Layers with the same shape of output, taken together."""

    name: str
    macs: float
    weights: float
    #: Values that its layers read and write, weights aside.
    traffic: float
    #: Values of its largest input and output together, which are alive at the same time.
    alive: float
    layers: int
    #: Output channels of its inner layers.
    channels: int
    is_linear: bool = False


def stages_of(architecture: str, *, pruned: float, size: int) -> tuple[Stage, ...]:
    """The stages of a network of which a share of the filters is gone, for a square input.

    Pruning takes filters of the inner layers of residual blocks, and of every convolution of a
    VGG; the linear layers keep their outputs. A pooled VGG keeps its first linear layer
    whatever the input's size.
    """
    keep = 1.0 - pruned
    if architecture == "vgg19":
        return tuple(_vgg19(keep, size))
    return tuple(_resnet(architecture, keep, size))


class _Work:
    """Adds layers up to a stage."""

    def __init__(self, name: str, *, is_linear: bool = False) -> None:
        self._name, self._is_linear = name, is_linear
        self._macs = self._weights = self._traffic = self._alive = 0.0
        self._layers, self._channels = 0, 1

    def layer(self, inputs: int, outputs: int, *, kernel: int, side: float, stride: int) -> None:
        """A convolution (or, with a side of 1, a linear layer) with outputs of `side` squared."""
        weights = float(kernel * kernel * inputs * outputs)
        moved = inputs * (side * stride) ** 2 + outputs * side**2
        self._weights += weights
        self._macs += weights * side**2
        self._traffic += moved
        self._alive = max(self._alive, moved)
        self._layers += 1
        if kernel > 1 or self._is_linear:
            self._channels = outputs

    def stage(self) -> Stage:
        """What was added."""
        return Stage(
            name=self._name,
            macs=self._macs,
            weights=self._weights,
            traffic=self._traffic,
            alive=self._alive,
            layers=self._layers,
            channels=self._channels,
            is_linear=self._is_linear,
        )


#: Blocks a stage, and whether they are bottlenecks.
_RESNETS = {
    "resnet18": ((2, 2, 2, 2), False),
    "resnet34": ((3, 4, 6, 3), False),
    "resnet50": ((3, 4, 6, 3), True),
}
_WIDTHS = (64, 128, 256, 512)


def _resnet(architecture: str, keep: float, size: int) -> Iterator[Stage]:
    blocks, bottlenecks = _RESNETS[architecture]
    scale = size / _FULL_SIZE
    stem = _Work("stem")
    stem.layer(3, 64, kernel=7, side=112 * scale, stride=2)
    yield stem.stage()
    before = 64
    for place, (count, width) in enumerate(zip(blocks, _WIDTHS, strict=True)):
        work = _Work(f"layer{place + 1}")
        side = 56 * scale / 2**place
        inner, outer = round(width * keep), width * 4 if bottlenecks else width
        for block in range(count):
            stride = 2 if block == 0 and place > 0 else 1
            if bottlenecks:
                work.layer(before, inner, kernel=1, side=side * stride, stride=1)
                work.layer(inner, inner, kernel=3, side=side, stride=stride)
                work.layer(inner, outer, kernel=1, side=side, stride=1)
            else:
                work.layer(before, inner, kernel=3, side=side, stride=stride)
                work.layer(inner, outer, kernel=3, side=side, stride=1)
            if before != outer:
                work.layer(before, outer, kernel=1, side=side, stride=stride)
            before = outer
        yield work.stage()
    head = _Work("fc", is_linear=True)
    head.layer(before, _CLASSES, kernel=1, side=1, stride=1)
    yield head.stage()


_VGG_BLOCKS = ((2, 64), (2, 128), (4, 256), (4, 512), (4, 512))
_VGG_POOLED = 7 * 7
_VGG_HIDDEN = 4096


def _vgg19(keep: float, size: int) -> Iterator[Stage]:
    before, side = 3, float(size)
    for place, (count, width) in enumerate(_VGG_BLOCKS):
        work = _Work(f"block{place + 1}")
        for _ in range(count):
            kept = round(width * keep)
            work.layer(before, kept, kernel=3, side=side, stride=1)
            before = kept
        yield work.stage()
        side /= 2
    head = _Work("classifier", is_linear=True)
    for inputs, outputs in (
        (before * _VGG_POOLED, _VGG_HIDDEN),
        (_VGG_HIDDEN, _VGG_HIDDEN),
        (_VGG_HIDDEN, _CLASSES),
    ):
        head.layer(inputs, outputs, kernel=1, side=1, stride=1)
    yield head.stage()
