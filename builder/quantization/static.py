"""Static INT8 by FX graph mode: weights per channel, activation ranges by histogram."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from torch import Tensor, nn

from builder.quantization.calibration import Calibration
from builder.quantization.engine import Engine


def quantize_graph(
    network: nn.Module,
    inputs: Iterable[Tensor],
    engine: Engine,
    *,
    keep_float: Collection[str] = (),
) -> nn.Module:
    """Copy of `network` with static INT8 in its convolutions and Linears.

    FX graph mode: weights per channel, activations by histogram. The engine must be selected.
    A network that FX cannot trace is captured as it runs, at the size of the inputs.

    Args:
        network: in evaluation mode.
        inputs: calibration batches, float32 [N, 3, H, W]; activation ranges come from them.
        engine: whose ranges and rounding to prepare for.
        keep_float: names of modules that stay in FP32.

    Raises:
        UnsupportedError: the network can neither be traced nor captured (the message names the
            module and the line), or does not survive the conversion.
    """
    return Calibration(network, inputs, engine).convert(keep_float)


def int8_modules(network: nn.Module) -> set[str]:
    """Names of the convolutions and Linears that compute in INT8."""
    return {
        name
        for name, module in network.named_modules()
        if ".quantized." in type(module).__module__ and callable(getattr(module, "weight", None))
    }
