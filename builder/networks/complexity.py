"""How much a network weighs and works: parameters, bytes and MACs, as a whole and by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from contract.manifest import Block

#: A multiplication and an addition.
_FLOPS_PER_MAC = 2


@dataclass(frozen=True, kw_only=True)
class Work:
    """Multiply-accumulates for one image."""

    total_macs: int
    #: By module name; a module's count includes its children's.
    macs: Mapping[str, int]


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """One tensor as the network keeps it; quantized ones are counted unpacked."""

    name: str
    is_parameter: bool
    elements: int
    non_zero: int
    bytes: int


def count_work(network: nn.Module, input_size: int) -> Work:
    """Count the MACs of convolutions, Linears, matrix products and attention for one image.

    `network` is in floats: integer kernels are not counted, and do the same work.
    """
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network(torch.zeros(1, 3, input_size, input_size))
    root = type(network).__name__
    macs: dict[str, int] = {}
    for name, flops in counter.get_flop_counts().items():
        if name.startswith(f"{root}."):
            macs[name.removeprefix(f"{root}.")] = sum(flops.values()) // _FLOPS_PER_MAC
    return Work(total_macs=counter.get_total_flops() // _FLOPS_PER_MAC, macs=macs)


def stored_tensors(network: nn.Module) -> Iterator[StoredTensor]:
    """Every parameter and buffer of a network once, floats and quantized ones alike."""
    for name, parameter in network.named_parameters():
        yield _stored(name, parameter, is_parameter=True)
    for name, buffer in network.named_buffers():
        yield _stored(name, buffer, is_parameter=False)
    for prefix, module in network.named_modules():
        for name, value in _packed_tensors(module):
            yield _stored(f"{prefix}.{name}".lstrip("."), value, is_parameter=True)


def list_blocks(network: nn.Module, stored: list[StoredTensor], work: Work) -> list[Block]:
    """Blocks with weights or work, in order; their figures add up to the whole.

    A block is a module below nested containers: `layer1.0` of a ResNet, `features.3` of a VGG.

    Args:
        network: the network in floats, whose module tree names the blocks.
        stored: tensors of the variant itself, which may be quantized.
        work: MACs of `network`.
    """
    names = list(_block_names(network))
    owners: dict[str, list[StoredTensor]] = {name: [] for name in names}
    rest: list[StoredTensor] = []
    for tensor in stored:
        # Modules' names contain dots, so the longest block that the name starts with owns it.
        owner = max((n for n in names if tensor.name.startswith(f"{n}.")), key=len, default=None)
        (rest if owner is None else owners[owner]).append(tensor)
    blocks = [_block(name, owners[name], work.macs.get(name, 0)) for name in names]
    other_macs = work.total_macs - sum(block.macs for block in blocks)
    blocks.append(_block("(outside blocks)", rest, max(0, other_macs)))
    return [block for block in blocks if block.parameters or block.macs or block.bytes]


def _block(name: str, tensors: list[StoredTensor], macs: int) -> Block:
    return Block(
        name=name,
        parameters=sum(t.elements for t in tensors if t.is_parameter),
        bytes=sum(t.bytes for t in tensors),
        macs=macs,
    )


def _block_names(module: nn.Module, prefix: str = "") -> Iterator[str]:
    for name, child in module.named_children():
        # Only the containers themselves: subclasses of Sequential are layers with a meaning.
        if type(child) in (nn.Sequential, nn.ModuleList):
            yield from _block_names(child, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _packed_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name in ("weight", "bias"):
        # Quantized modules keep packed weights and answer through methods of these names.
        unpack = getattr(type(module), name, None)
        if callable(unpack) and isinstance(value := getattr(module, name)(), Tensor):
            yield name, value
    if isinstance(module, torch.fx.GraphModule):
        # FX keeps the packed weights of functional calls as attributes of the graph.
        for name, packed in vars(module).items():
            if isinstance(packed, torch.ScriptObject) and hasattr(packed, "unpack"):
                weight, bias = packed.unpack()
                yield f"{name}.weight", weight
                if bias is not None:
                    yield f"{name}.bias", bias


def _stored(name: str, tensor: Tensor, *, is_parameter: bool) -> StoredTensor:
    size = tensor.numel() * tensor.element_size()
    if tensor.is_quantized:
        non_zero = int(torch.count_nonzero(tensor.int_repr()))
        if tensor.qscheme() in (torch.per_channel_affine, torch.per_channel_symmetric):
            scales, zero_points = tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points()
            size += scales.nbytes + zero_points.nbytes
    else:
        non_zero = int(torch.count_nonzero(tensor))
    return StoredTensor(
        name=name,
        is_parameter=is_parameter,
        elements=tensor.numel(),
        non_zero=non_zero,
        bytes=size,
    )
