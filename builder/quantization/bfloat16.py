"""Brain floating point: half the bytes, at full speed only where the processor multiplies it."""

from __future__ import annotations

import copy
import logging

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from builder.errors import UnsupportedError, first_line
from builder.quantization.calibration import plain_graph

_log = logging.getLogger(__name__)


def to_bfloat16(network: nn.Module, example: Tensor) -> nn.Module:
    """Copy of `network` that keeps weights and computes in bfloat16; inputs and logits are FP32.

    Batch norms are folded into convolutions first, so that their product is rounded once, and
    not once more by a device that folds them: seen on EfficientNet-Lite0, whose logits differed
    by 2.3 % of their range after `torch.jit.freeze`, and not at all folded before. Channels lie
    last where the network's code allows, which bfloat16 convolutions of torch are faster with.

    Args:
        network: in evaluation mode.
        example: an input that it takes, float32 [1, 3, H, W].

    Raises:
        UnsupportedError: it does not run in bfloat16; its own code may make FP32 tensors.
    """
    folded = _folded(network, example)
    try:
        return _narrowed(folded, example, torch.channels_last)
    except RuntimeError:
        # Code that views tensors as they lay before.
        _log.debug("bfloat16 does not run with channels last", exc_info=True)
    try:
        return _narrowed(folded, example, torch.contiguous_format)
    except Exception as error:
        # The network's own code: it may raise anything.
        message = f"it does not run in bfloat16: {first_line(error)}"
        raise UnsupportedError(message) from error


def _folded(network: nn.Module, example: Tensor) -> nn.Module:
    try:
        folded: nn.Module = fuse(plain_graph(network, example), no_trace=True)
    except Exception:  # noqa: BLE001 - it runs the network's own code, which may raise anything
        return network
    return folded


def _narrowed(network: nn.Module, example: Tensor, layout: torch.memory_format) -> nn.Module:
    narrow = copy.deepcopy(network).to(torch.bfloat16)
    if layout is torch.channels_last:
        # By stubs it takes no layout alone.
        narrow = narrow.to(memory_format=layout)  # type: ignore[call-overload]

    def narrow_inputs(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        del module
        return tuple(tensor.to(torch.bfloat16, memory_format=layout) for tensor in inputs)

    # Hooks instead of a module around it, so that layers keep their names.
    narrow.register_forward_pre_hook(narrow_inputs)
    narrow.register_forward_hook(_widen_logits)
    with torch.inference_mode():
        narrow(example)
    return narrow


def _widen_logits(module: nn.Module, inputs: tuple[Tensor, ...], logits: Tensor) -> Tensor:
    del module, inputs
    return logits.float()
