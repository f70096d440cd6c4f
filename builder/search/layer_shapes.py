"""The layers of a network as the latency model sees them, watched while one image passes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from builder.search.workload import LayerKind, LayerShape

#: Folded into the layer before them, or no work at all.
_FREE = (
    nn.BatchNorm2d,
    nn.ReLU,
    nn.ReLU6,
    nn.Dropout,
    nn.Identity,
    nn.Flatten,
)


def layer_shapes(network: nn.Module, input_size: int) -> list[LayerShape]:
    """Layers in the order in which they ran for one image of `input_size` pixels.

    A layer that runs twice counts twice. Sums and concatenations between modules are not
    seen: what the layers around them write stands in for them. `network` is in floats and may
    lie on the meta device, where it is shaped but not computed.
    """
    shapes: list[LayerShape] = []

    def watch(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, Tensor):
            shapes.append(_shape(module, output))

    leaves = [
        module
        for module in network.modules()
        if not isinstance(module, _FREE) and next(module.children(), None) is None
    ]
    hooks = [module.register_forward_hook(watch) for module in leaves]
    parameter = next(network.parameters(), None)
    image = torch.zeros(
        1, 3, input_size, input_size, device=None if parameter is None else parameter.device
    )
    try:
        with torch.inference_mode():
            network(image)
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


def _shape(module: nn.Module, output: Tensor) -> LayerShape:
    weights = sum(parameter.numel() for parameter in module.parameters())
    elements = output.numel()
    kind, macs = LayerKind.ELEMENTWISE, 0
    if isinstance(module, nn.Conv2d):
        kind = _convolution_kind(module)
        # Each output element multiplies the weights of its own filter.
        macs = elements * module.weight[0].numel()
    elif isinstance(module, nn.Linear):
        kind, macs = LayerKind.LINEAR, elements * module.in_features
    return LayerShape(kind=kind, macs=macs, weight_elements=weights, output_elements=elements)


def _convolution_kind(module: nn.Conv2d) -> LayerKind:
    if module.groups == module.in_channels > 1:
        return LayerKind.DEPTHWISE
    if module.groups == 1 and set(module.kernel_size) == {1}:
        return LayerKind.POINTWISE
    return LayerKind.DENSE
