"""Structured pruning by surgery: whole filters go, and every layer that reads them shrinks.

Filters are ranked by L2 norm, after Li et al., "Pruning Filters for Efficient ConvNets"
(2017, there L1); coupled layers are found by the dependency graph of Fang et al., "DepGraph:
Towards Any Structural Pruning" (2023).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

from builder.errors import ArchitectureError, UnsupportedError
from builder.networks.probing import count_outputs
from contract.manifest import PrunedLayer

IMPORTANCE = "l2-norm of filters"

_OUTPUT = torch_pruning.ops.OPTYPE.OUTPUT


@dataclass(frozen=True, kw_only=True)
class Surgery:
    """What was cut, and which chosen convolutions were left alone, with the reason."""

    layers: tuple[PrunedLayer, ...]
    left_alone: tuple[str, ...]


@dataclass(frozen=True)
class _Cut:
    """Filters to remove from one convolution; the graph carries them on to the others."""

    root: nn.Conv2d
    filters: list[int]
    convolutions: list[nn.Conv2d]


def prune(
    network: nn.Module,
    *,
    input_size: int,
    ratio: float,
    deepest: int | None = None,
) -> Surgery:
    """Remove filters from the deepest convolutions of `network`, in place.

    In each chosen convolution the floor(`ratio` x filters) filters of lowest L2 norm go; all
    norms are taken from the unpruned weights, before the first cut. Convolutions whose
    channels are coupled (residual sums, depthwise pairs) are cut once, together, by their
    joint L2 norm. Left alone is a convolution that is coupled with one that was not chosen,
    whose channels are the network's output, or that meets grouped convolutions or group
    normalisation, whose groups would come apart.

    Args:
        network: in evaluation mode.
        input_size: side of an input in pixels that it takes.
        ratio: share of filters to remove, above 0 and below 1.
        deepest: how many convolutions are chosen, counted from the output in the order of
            execution; the deepest half where None.

    Raises:
        UnsupportedError: nothing can be removed, or the surgery did not leave a working
            network; `network` is then spoilt.
    """
    outputs = count_outputs(network, input_size)
    names = {module: name for name, module in network.named_modules()}
    order = _convolutions_in_order(network, input_size)
    count = len(order) // 2 if deepest is None else min(deepest, len(order))
    chosen = order[len(order) - count :]
    norms = {convolution: _squared_norms(convolution) for convolution in chosen}
    graph = _dependency_graph(network, input_size)

    cuts: list[_Cut] = []
    left_alone: list[str] = []
    handled: set[nn.Module] = set()
    for convolution in chosen:
        if convolution in handled:
            continue
        group = _full_group(graph, convolution)
        producers = _producers(graph, group)
        handled.update(producers)
        reason = _obstacle(graph, group, [p for p in producers if p not in norms], names)
        filters = _weakest(group, producers, norms, ratio) if reason is None else []
        if filters:
            cuts.append(_Cut(convolution, filters, [p for p in producers if p in norms]))
        else:
            reason = reason or f"{ratio:.0%} of {convolution.out_channels} filters is none"
            left_alone += [f"{names[p]} ({reason})" for p in producers if p in norms]
    if not cuts:
        message = (
            f"nothing to prune: none of the deepest {count} of {len(order)} convolutions can lose "
            f"filters{': ' if left_alone else ''}{'; '.join(left_alone)}"
        )
        raise UnsupportedError(message)
    before = {c: c.out_channels for cut in cuts for c in cut.convolutions}
    _operate(graph, cuts)
    _check_still_works(network, input_size, outputs)
    return Surgery(
        layers=tuple(
            PrunedLayer(
                name=names[convolution],
                channels_before=channels,
                channels_after=convolution.out_channels,
            )
            for convolution, channels in before.items()
        ),
        left_alone=tuple(left_alone),
    )


def _convolutions_in_order(network: nn.Module, input_size: int) -> list[nn.Conv2d]:
    order: dict[nn.Conv2d, None] = {}

    def note(module: nn.Module, _inputs: object, _output: object) -> None:
        if isinstance(module, nn.Conv2d):
            order.setdefault(module)

    hooks = [
        module.register_forward_hook(note)
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    try:
        count_outputs(network, input_size)
    finally:
        for hook in hooks:
            hook.remove()
    return list(order)


def _squared_norms(convolution: nn.Conv2d) -> Tensor:
    return convolution.weight.detach().flatten(start_dim=1).double().square().sum(dim=1)


def _dependency_graph(network: nn.Module, input_size: int) -> Any:  # noqa: ANN401 - untyped library
    graph = torch_pruning.DependencyGraph()
    try:
        with torch.enable_grad():
            return graph.build_dependency(
                network,
                example_inputs=torch.zeros(1, 3, input_size, input_size),
                verbose=False,
            )
    except Exception as error:
        # Its tracer meets arbitrary networks and stumbles in arbitrary ways.
        message = f"torch-pruning cannot follow its channels: {type(error).__name__}: {error}"
        raise UnsupportedError(message) from error


def _full_group(graph: Any, convolution: nn.Conv2d) -> Any:  # noqa: ANN401 - untyped library
    everything = list(range(convolution.out_channels))
    cut = torch_pruning.prune_conv_out_channels
    return graph.get_pruning_group(convolution, cut, everything)


def _producers(graph: Any, group: Any) -> list[nn.Conv2d]:  # noqa: ANN401 - untyped library
    found: dict[nn.Conv2d, None] = {}
    for dependency, _ in group:
        module = dependency.target.module
        if isinstance(module, nn.Conv2d) and graph.is_out_channel_pruning_fn(dependency.handler):
            found.setdefault(module)
    return list(found)


def _obstacle(
    graph: Any,  # noqa: ANN401 - untyped library
    group: Any,  # noqa: ANN401 - untyped library
    outsiders: Sequence[nn.Conv2d],
    names: dict[nn.Module, str],
) -> str | None:
    if outsiders:
        return f"coupled with {names[outsiders[0]]}"
    targets = [dependency.target for dependency, _ in group]
    if any(target.type == _OUTPUT for target in targets):
        return "its channels are the output"
    for target in targets:
        module = target.module
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            if module.groups != module.in_channels or module.groups != module.out_channels:
                return f"meets the groups of {names[module]}"
        elif isinstance(module, nn.GroupNorm):
            return f"meets the groups of {names[module]}"
    if all(graph.is_out_channel_pruning_fn(dependency.handler) for dependency, _ in group):
        return "no layer reads its channels"
    return None


def _weakest(
    group: Any,  # noqa: ANN401 - untyped library
    producers: Sequence[nn.Conv2d],
    norms: dict[nn.Conv2d, Tensor],
    ratio: float,
) -> list[int]:
    root = producers[0]
    joint = torch.zeros(root.out_channels, dtype=torch.float64)
    counted: set[nn.Module] = set()
    for item in group:
        module = item.dep.target.module
        if module in norms and module in producers and module not in counted:
            counted.add(module)
            joint.index_add_(0, torch.tensor(item.root_idxs), norms[module][item.idxs])
    # As a decimal fraction: 0.29 x 100 filters are 29, whatever binary floats make of it.
    count = math.floor(Fraction(str(ratio)) * root.out_channels)
    return sorted(joint.argsort(stable=True)[:count].tolist())


def _operate(graph: Any, cuts: Sequence[_Cut]) -> None:  # noqa: ANN401 - untyped library
    try:
        for cut in cuts:
            graph.get_pruning_group(
                cut.root, torch_pruning.prune_conv_out_channels, cut.filters
            ).prune()
    except Exception as error:
        # Its surgery meets arbitrary layers and fails in arbitrary ways.
        message = f"torch-pruning's surgery failed: {type(error).__name__}: {error}"
        raise UnsupportedError(message) from error


def _check_still_works(network: nn.Module, input_size: int, outputs: int) -> None:
    try:
        after = count_outputs(network, input_size)
    except ArchitectureError as error:
        message = f"the pruned network {error}"
        raise UnsupportedError(message) from error
    if after != outputs:
        message = f"the pruned network has {after} outputs instead of {outputs}"
        raise UnsupportedError(message)
