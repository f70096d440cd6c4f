"""Dynamic INT8: weights of Linears in INT8, activation ranges taken at run time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.ao.quantization import quantize_dynamic

from builder.errors import UnsupportedError, first_line
from builder.quantization.deprecation import deprecations_filtered


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
    with deprecations_filtered():
        quantized: nn.Module = quantize_dynamic(network, {nn.Linear}, dtype=torch.qint8)  # type: ignore[no-untyped-call]
    try:
        with torch.inference_mode():
            quantized(example)
    except Exception as error:
        # The network's own code, which may reach into the layers that were replaced.
        message = f"it does not run with dynamic INT8 Linears: {first_line(error)}"
        raise UnsupportedError(message) from error
    return quantized
