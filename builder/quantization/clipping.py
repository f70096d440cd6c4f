"""Clipping, such as ReLU6, in integers: left out where the rounding before it does it."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import fx, nn

_FUNCTIONS = (F.relu6, F.hardtanh, F.hardtanh_, torch.clamp, torch.clip, "clamp", "clip")
_RELU6 = (0.0, 6.0)
_TOP = 255


def clipping_bounds(node: fx.Node, modules: dict[str, nn.Module]) -> tuple[float, float] | None:
    """Lowest and highest value that `node` lets through; None where it clips nothing."""
    if node.op == "call_module":
        module = modules[str(node.target)]
        return (module.min_val, module.max_val) if isinstance(module, nn.Hardtanh) else None
    if node.target not in _FUNCTIONS:
        return None
    if node.target is F.relu6:
        return _RELU6
    is_hardtanh = node.target in {F.hardtanh, F.hardtanh_}
    names = ("min_val", "max_val") if is_hardtanh else ("min", "max")
    defaults = dict(zip(names, (-1.0, 1.0), strict=True)) if is_hardtanh else {}
    given = defaults | dict(zip(names, node.args[1:], strict=False)) | dict(node.kwargs)
    low, high = given.get(names[0]), given.get(names[1])
    if isinstance(low, int | float) and isinstance(high, int | float):
        return float(low), float(high)
    return None


def settle_clipping(quantized: fx.GraphModule) -> None:
    """Make what is clipped in integers right and fast; `quantized` is changed in place.

    Rounding to integers that cannot go beyond the bounds has clipped already. Elsewhere the
    tensor is made contiguous first: qnnpack's kernel, seen in torch 2.13, returns the values of
    one in another layout in the wrong order.
    """
    modules = dict(quantized.named_modules())
    for node in list(quantized.graph.nodes):
        bounds = clipping_bounds(node, modules)
        if bounds is None or not node.all_input_nodes:
            continue
        source = node.all_input_nodes[0]
        reach = _reach(source, quantized, modules)
        if reach is not None and _stays_within(reach, bounds):
            node.replace_all_uses_with(source)
            quantized.graph.erase_node(node)
        elif torch.backends.quantized.engine == "qnnpack":
            with quantized.graph.inserting_before(node):
                ordered = quantized.graph.call_method("contiguous", (source,))
            node.replace_input_with(source, ordered)
    quantized.recompile()


def _reach(
    node: fx.Node, quantized: fx.GraphModule, modules: dict[str, nn.Module]
) -> tuple[float, int] | None:
    """Scale and zero point that `node` rounds to; None where it does not round to integers."""
    if node.op == "call_module":
        layer: Any = modules[str(node.target)]
        is_integer = ".quantized." in type(layer).__module__ and hasattr(layer, "scale")
        return (float(layer.scale), int(layer.zero_point)) if is_integer else None
    if node.target is torch.quantize_per_tensor:
        scale, zero_point = (
            getattr(quantized, str(part.target)) for part in node.all_input_nodes[1:3]
        )
        return float(scale), int(zero_point)
    return None


def _stays_within(reach: tuple[float, int], bounds: tuple[float, float]) -> bool:
    scale, zero_point = reach
    half_a_step = scale / 2
    low, high = -zero_point * scale, (_TOP - zero_point) * scale
    return low >= bounds[0] - half_a_step and high <= bounds[1] + half_a_step
