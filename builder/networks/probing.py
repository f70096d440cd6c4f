"""What shapes a network takes and gives, found by trying."""

from __future__ import annotations

import torch
from torch import nn

from builder.errors import ArchitectureError, InputSizeError, first_line, typed_line
from builder.networks.architectures import Architecture

_SIZE_STEP = 8
_LARGEST_SIZE = 512
_LOGIT_DIMENSIONS = 2


def trial_network(architecture: Architecture, classes: int | None) -> nn.Module:
    """Network for trying shapes: without memory for torchvision's, real for the user's own."""
    if architecture.source_sha256 is not None:
        return architecture.create(classes)
    with torch.device("meta"):
        return architecture.create(classes)


def count_outputs(network: nn.Module, input_size: int) -> int:
    """Width of the network's logits for an image of `input_size` pixels.

    Raises:
        InputSizeError: it cannot take such an input.
        ArchitectureError: it gives something else than logits [1, classes].
    """
    parameter = next(network.parameters(), None)
    device = None if parameter is None else parameter.device
    try:
        # Within the block, because the image itself may be too large for the memory.
        image = torch.zeros(1, 3, input_size, input_size, device=device)
        with torch.inference_mode():
            logits = network(image)
    except Exception as error:
        # The network may be the user's code: it may raise anything.
        reason = first_line(error) if isinstance(error, RuntimeError) else typed_line(error)
        message = f"cannot take an input of {input_size} px: {reason}"
        raise InputSizeError(message) from error
    is_tensor = isinstance(logits, torch.Tensor)
    if not is_tensor or logits.ndim != _LOGIT_DIMENSIONS or len(logits) != 1:
        got = list(logits.shape) if is_tensor else type(logits).__name__
        message = f"expected logits [1, classes] for one image, got {got}"
        raise ArchitectureError(message)
    return int(logits.shape[1])


def smallest_input(network: nn.Module, wanted: int, below: int) -> int | None:
    """Least input of at least `wanted` pixels that the network takes, in steps of 8.

    None where it takes nothing under `below` pixels.
    """
    for size in range(wanted, below, _SIZE_STEP):
        try:
            count_outputs(network, size)
        except ArchitectureError:
            # Fixed reshapes may also answer, with other than one row of logits.
            continue
        return size
    return None


def check_input(network: nn.Module, name: str, input_size: int) -> int:
    """Width of the output of the network called `name`, which takes `input_size` pixels.

    Raises:
        InputSizeError: it does not take them; the smallest size that it takes is named.
        ArchitectureError: it gives something else than logits [1, classes].
    """
    try:
        return count_outputs(network, input_size)
    except InputSizeError as error:
        smallest = smallest_input(network, _SIZE_STEP, _LARGEST_SIZE)
        hint = f"; the smallest input it takes is {smallest} px" if smallest else ""
        message = f"{name}: {error}{hint}"
        raise InputSizeError(message) from error
    except ArchitectureError as error:
        message = f"{name}: {error}"
        raise ArchitectureError(message) from error
