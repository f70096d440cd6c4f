"""How much of a network's work integer kernels do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

_LAYERS = ("conv", "linear")


def int8_macs(network: nn.Module, example: Tensor) -> int:
    """Multiply-accumulates that `network` does in INT8 for `example`, functional calls included.

    Args:
        network: quantized, for the engine that is selected.
        example: one image, float32 [1, 3, H, W].
    """
    counter = _Counter()
    with torch.no_grad(), counter:
        network(example)
    return counter.macs


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.macs = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - an operator
        types: Any,  # noqa: ANN401 - torch's own signature
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the operator gives
        del types
        result = func(*args, **(kwargs or {}))
        namespace, _, name = func._schema.name.partition("::")  # noqa: SLF001 - the one way to its name
        if namespace == "quantized":
            # A convolution that adds a residual branch has that before its weights.
            packed = next((one for one in args if hasattr(one, "unpack")), None)
            if name.startswith(_LAYERS) and packed is not None:
                weight = packed.unpack()[0]
                self.macs += result.numel() // weight.shape[0] * weight.numel()
            elif name == "matmul":
                self.macs += result.numel() * args[0].shape[-1]
        return result
