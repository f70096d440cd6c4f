"""A network as an ONNX file, which the other frameworks read."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

INPUT = "image"
#: High enough for weights quantized per channel (13), low enough for older runtimes.
_OPSET = 17


def write_onnx(network: nn.Module, path: Path, input_size: int) -> None:
    """Write `network`, in evaluation mode, for one image of `input_size` at a time.

    The exporter by tracing folds batch norms, and needs no package beside torch.
    """
    example: tuple[Tensor, ...] = (torch.zeros(1, 3, input_size, input_size),)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network, example, str(path), dynamo=False, opset_version=_OPSET, input_names=[INPUT]
        )
