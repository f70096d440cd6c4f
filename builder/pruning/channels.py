"""Groups of channels that can only go together, found through the dependency graph.

Coupled layers are found as in Fang et al., "DepGraph: Towards Any Structural Pruning" (2023).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn

from builder.errors import ArchitectureError, UnsupportedError
from builder.networks.probing import count_outputs

_OUTPUT = torch_pruning.ops.OPTYPE.OUTPUT


@dataclass(frozen=True)
class Link:
    """One layer that a group's channels pass: it makes, carries or reads them."""

    module: nn.Module
    #: Whether its own output channels go (convolution, normalisation), not only its inputs.
    is_output: bool
    #: Places in `module`, and the group's channel that each stands for.
    places: Tensor
    channels: Tensor


@dataclass(frozen=True, eq=False)
class ChannelGroup:
    """Convolutions whose filters can only go together, and every layer that feels it."""

    name: str
    root: nn.Conv2d
    #: Convolutions that make the channels and were chosen, the root first.
    convolutions: tuple[nn.Conv2d, ...]
    links: tuple[Link, ...]

    @property
    def width(self) -> int:
        """How many channels the group has."""
        return self.root.out_channels

    def joint(self, scores: Mapping[nn.Module, Tensor]) -> Tensor:
        """Sum per channel (float64 [width]) of the scores of those layers that have some."""
        total = torch.zeros(self.width, dtype=torch.float64)
        counted: set[nn.Module] = set()
        for link in self.links:
            if link.is_output and link.module in scores and link.module not in counted:
                counted.add(link.module)
                total.index_add_(0, link.channels, scores[link.module][link.places])
        return total


class Channels:
    """The prunable channels of one network, which is cut in place."""

    def __init__(self, network: nn.Module, input_size: int, deepest: int | None) -> None:
        """Find the groups of the `deepest` convolutions, counted from the output.

        Args:
            network: in evaluation mode.
            input_size: side of an input in pixels that it takes.
            deepest: None for the deepest half, in the order of execution.

        Raises:
            UnsupportedError: the dependency graph cannot follow the network.
        """
        self.network = network
        self._input_size = input_size
        self._outputs = count_outputs(network, input_size)
        self._names: dict[nn.Module, str] = {m: name for name, m in network.named_modules()}
        order = _convolutions_in_order(network, input_size)
        count = len(order) // 2 if deepest is None else min(deepest, len(order))
        self._graph = _dependency_graph(network, input_size)
        #: How many convolutions were looked at, of how many.
        self.scope = f"the deepest {count} of {len(order)} convolutions"
        self.groups, self.left_alone = self._sorted(order[len(order) - count :])

    def name_of(self, module: nn.Module) -> str:
        """Name of a module of the network."""
        return self._names[module]

    def cut(self, filters: Mapping[ChannelGroup, Sequence[int]]) -> None:
        """Remove the filters from each group, and what reads them from every other layer.

        The groups are worthless afterwards.

        Raises:
            UnsupportedError: the surgery did not leave a working network, which is spoilt.
        """
        out = torch_pruning.prune_conv_out_channels
        try:
            for group, doomed in filters.items():
                self._graph.get_pruning_group(group.root, out, list(doomed)).prune()
        except Exception as error:
            # Its surgery meets arbitrary layers and fails in arbitrary ways.
            message = f"torch-pruning's surgery failed: {type(error).__name__}: {error}"
            raise UnsupportedError(message) from error
        try:
            after = count_outputs(self.network, self._input_size)
        except ArchitectureError as error:
            message = f"the pruned network {error}"
            raise UnsupportedError(message) from error
        if after != self._outputs:
            message = f"the pruned network has {after} outputs instead of {self._outputs}"
            raise UnsupportedError(message)

    def _sorted(
        self, chosen: Sequence[nn.Conv2d]
    ) -> tuple[tuple[ChannelGroup, ...], tuple[str, ...]]:
        groups: list[ChannelGroup] = []
        left_alone: list[str] = []
        handled: set[nn.Module] = set()
        for convolution in chosen:
            if convolution in handled:
                continue
            found = self._full_group(convolution)
            producers = self._producers(found)
            handled.update(producers)
            insiders = [producer for producer in producers if producer in chosen]
            outsiders = [producer for producer in producers if producer not in chosen]
            reason = self._obstacle(found, outsiders)
            if reason is None:
                groups.append(self._group(found, insiders))
            else:
                left_alone += [f"{self._names[one]} ({reason})" for one in insiders]
        return tuple(groups), tuple(left_alone)

    def _full_group(self, convolution: nn.Conv2d) -> Any:  # noqa: ANN401 - untyped library
        everything = list(range(convolution.out_channels))
        cut = torch_pruning.prune_conv_out_channels
        return self._graph.get_pruning_group(convolution, cut, everything)

    def _is_output(self, dependency: Any) -> bool:  # noqa: ANN401 - untyped library
        return bool(self._graph.is_out_channel_pruning_fn(dependency.handler))

    def _producers(self, found: Any) -> list[nn.Conv2d]:  # noqa: ANN401 - untyped library
        producers: dict[nn.Conv2d, None] = {}
        for dependency, _ in found:
            module = dependency.target.module
            if isinstance(module, nn.Conv2d) and self._is_output(dependency):
                producers.setdefault(module)
        return list(producers)

    def _group(self, found: Any, convolutions: list[nn.Conv2d]) -> ChannelGroup:  # noqa: ANN401 - untyped library
        root = convolutions[0]
        links = tuple(
            Link(
                module=item.dep.target.module,
                is_output=self._is_output(item.dep),
                places=torch.tensor(item.idxs),
                channels=torch.tensor(item.root_idxs),
            )
            for item in found
            if item.dep.target.module in self._names
        )
        return ChannelGroup(self._names[root], root, tuple(convolutions), links)

    def _obstacle(self, found: Any, outsiders: Sequence[nn.Conv2d]) -> str | None:  # noqa: ANN401 - untyped library
        if outsiders:
            return f"coupled with {self._names[outsiders[0]]}"
        targets = [dependency.target for dependency, _ in found]
        if any(target.type == _OUTPUT for target in targets):
            return "its channels are the output"
        for target in targets:
            module = target.module
            if isinstance(module, nn.Conv2d) and module.groups > 1:
                if module.groups != module.in_channels or module.groups != module.out_channels:
                    return f"meets the groups of {self._names[module]}"
            elif isinstance(module, nn.GroupNorm):
                return f"meets the groups of {self._names[module]}"
        if all(self._is_output(dependency) for dependency, _ in found):
            return "no layer reads its channels"
        return None


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
