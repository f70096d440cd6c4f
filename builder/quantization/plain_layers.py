"""Functional convolutions, Linears and batch norms as the modules that torch has for them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class PlainLayer:
    """What a functional call on fixed weights amounts to: padding, then one module."""

    module: nn.Module
    source: Tensor
    weight: Tensor | None
    #: Zeros to the left, right, top and bottom that the module itself cannot add.
    padding: tuple[int, int, int, int] | None = None


def plain_layer(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    is_traced: Callable[[Any], bool],
) -> PlainLayer | None:
    """Layer that computes `function(*args, **kwargs)`; None where there is none.

    Args:
        function: as `__torch_function__` receives it.
        args: positional arguments, real tensors among them.
        kwargs: the others.
        is_traced: tells what depends on the network's input; such weights make no module.
    """
    maker = _MAKERS.get(function)
    if maker is None:
        return None
    named = maker.signature.bind(*args, **kwargs)
    named.apply_defaults()
    values = named.arguments
    source = values.pop("input")
    if any(is_traced(value) for value in values.values()):
        return None
    return maker.make(source, **values)


def _convolution(  # noqa: PLR0917 - torch's own signature
    source: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: int | Sequence[int],
    padding: int | str | Sequence[int],
    dilation: int | Sequence[int],
    groups: int,
) -> PlainLayer | None:
    if source.dim() != weight.dim():
        return None
    before: tuple[int, int, int, int] | None = None
    dilations = _pair(dilation)
    if padding == "valid":
        padding = 0
    elif padding == "same":
        top, left = (d * (k - 1) for d, k in zip(dilations, weight.shape[2:], strict=True))
        if top % 2 == 0 and left % 2 == 0:
            padding = (top // 2, left // 2)
        else:
            padding = 0
            # As torch does: the odd one goes to the right and below.
            before = (left // 2, left - left // 2, top // 2, top - top // 2)
    rows, columns = weight.shape[2:]
    module = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        (rows, columns),
        _pair(stride),
        _pair(padding),
        dilations,
        groups,
        bias=bias is not None,
        device="meta",
    )
    return PlainLayer(
        module=_holding(module, weight=weight, bias=bias),
        source=source,
        weight=weight,
        padding=before,
    )


def _linear(source: Tensor, weight: Tensor, bias: Tensor | None) -> PlainLayer | None:
    if weight.dim() != 2:  # noqa: PLR2004 - a matrix
        return None
    outputs, inputs = weight.shape
    empty = nn.Linear(inputs, outputs, bias=bias is not None, device="meta")
    module = _holding(empty, weight=weight, bias=bias)
    return PlainLayer(module=module, source=source, weight=weight)


def _batch_norm(  # noqa: PLR0917 - torch's own signature
    source: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,  # noqa: FBT001 - torch's own signature
    momentum: float,
    eps: float,
) -> PlainLayer | None:
    del momentum
    known = running_mean is not None and running_var is not None
    is_affine = weight is not None and bias is not None
    if training or not known or source.dim() != 4 or is_affine != (weight is not None):  # noqa: PLR2004 - images
        return None
    empty = nn.BatchNorm2d(source.shape[1], eps=eps, affine=is_affine, device="meta")
    empty.num_batches_tracked = None
    module = _holding(
        empty, weight=weight, bias=bias, running_mean=running_mean, running_var=running_var
    )
    return PlainLayer(module=module, source=source, weight=weight)


def _holding(module: nn.Module, **tensors: Tensor | None) -> nn.Module:
    for name, tensor in tensors.items():
        if tensor is None:
            continue
        if name in dict(module.named_buffers(recurse=False)):
            setattr(module, name, tensor.detach())
        else:
            setattr(module, name, nn.Parameter(tensor.detach(), requires_grad=False))
    return module.eval()


def _pair(value: Any) -> tuple[int, int]:  # noqa: ANN401 - an int or a sequence of one or two
    values = (value,) if isinstance(value, int) else tuple(value)
    return (int(values[0]), int(values[-1]))


@dataclass(frozen=True)
class _Maker:
    make: Callable[..., PlainLayer | None]
    signature: inspect.Signature


def _maker(make: Callable[..., PlainLayer | None], **defaults: object) -> _Maker:
    """Maker whose call is bound by the parameters of torch's function, with its defaults."""
    parameters = [
        inspect.Parameter(
            "input" if name == "source" else name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=defaults.get(name, inspect.Parameter.empty),
        )
        for name in inspect.signature(make).parameters
    ]
    return _Maker(make, inspect.Signature(parameters))


_CONVOLUTION = _maker(_convolution, bias=None, stride=1, padding=0, dilation=1, groups=1)
_MAKERS: Mapping[Any, _Maker] = {
    torch.conv2d: _CONVOLUTION,
    F.conv2d: _CONVOLUTION,
    F.linear: _maker(_linear, bias=None),
    F.batch_norm: _maker(
        _batch_norm, weight=None, bias=None, training=False, momentum=0.1, eps=1e-5
    ),
}
