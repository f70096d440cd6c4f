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

#: What can lose outputs of its own: filters, or features.
Producer = nn.Conv2d | nn.Linear

_FEATURES = 2
_OUTPUT = torch_pruning.ops.OPTYPE.OUTPUT
_IS_OUTPUT = "its channels are the output"
_IS_UNREAD = "no layer reads its channels"


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
    """Layers whose filters can only go together, and every layer that feels it."""

    name: str
    #: Convolutions, or Linears, that make the channels and were chosen.
    producers: tuple[Producer, ...]
    links: tuple[Link, ...]

    @property
    def root(self) -> Producer:
        """The producer that the group is named after."""
        return self.producers[0]

    @property
    def width(self) -> int:
        """How many channels the group has."""
        return output_width(self.root)

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

    def __init__(
        self,
        network: nn.Module,
        input_size: int,
        deepest: int | None,
        *,
        linears: bool = False,
    ) -> None:
        """Find the groups of the `deepest` convolutions, counted from the output.

        Args:
            network: in evaluation mode.
            input_size: side of an input in pixels that it takes.
            deepest: None for the deepest half, in the order of execution.
            linears: whether Linears between Linears may lose features too.

        Raises:
            UnsupportedError: the dependency graph cannot follow the network.
        """
        self.network = network
        self._input_size = input_size
        self._outputs = count_outputs(network, input_size)
        self._names: dict[nn.Module, str] = {m: name for name, m in network.named_modules()}
        order = _producers_in_order(network, input_size)
        convolutions = [layer for layer in order if isinstance(layer, nn.Conv2d)]
        hidden = [layer for layer in order if isinstance(layer, nn.Linear)] if linears else []
        count = len(convolutions) // 2 if deepest is None else min(deepest, len(convolutions))
        self._graph = _dependency_graph(network, input_size)
        #: How many convolutions were looked at, of how many.
        self.scope = f"the deepest {count} of {len(convolutions)} convolutions"
        if hidden:
            self.scope += f" and {len(hidden)} Linears"
        chosen = convolutions[len(convolutions) - count :]
        self.groups, self.left_alone = self._sorted([*chosen, *hidden])

    def name_of(self, module: nn.Module) -> str:
        """Name of a module of the network."""
        return self._names[module]

    def cut(self, filters: Mapping[ChannelGroup, Sequence[int]]) -> None:
        """Remove the filters from each group, and what reads them from every other layer.

        The groups are worthless afterwards.

        Raises:
            UnsupportedError: the surgery did not leave a working network, which is spoilt.
        """
        try:
            for group, doomed in filters.items():
                cut = _cut_of(group.root)
                self._graph.get_pruning_group(group.root, cut, list(doomed)).prune()
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
        self, chosen: Sequence[Producer]
    ) -> tuple[tuple[ChannelGroup, ...], tuple[str, ...]]:
        groups: list[ChannelGroup] = []
        left_alone: list[str] = []
        handled: set[nn.Module] = set()
        for layer in chosen:
            if layer in handled:
                continue
            found = self._full_group(layer)
            producers = self._producers(found)
            handled.update(producers)
            insiders = [producer for producer in producers if producer in chosen]
            # Linears that share a convolution's channels give what it gives.
            outsiders = [p for p in producers if p not in chosen and isinstance(p, nn.Conv2d)]
            reason = self._obstacle(found, outsiders)
            if reason is None:
                groups.append(self._group(found, insiders))
            elif isinstance(layer, nn.Conv2d) or reason not in {_IS_OUTPUT, _IS_UNREAD}:
                # Most networks end in a Linear, and nobody asks it to give up classes.
                left_alone += [f"{self._names[one]} ({reason})" for one in insiders]
        return tuple(groups), tuple(left_alone)

    def _full_group(self, layer: Producer) -> Any:  # noqa: ANN401 - untyped library
        return self._graph.get_pruning_group(
            layer, _cut_of(layer), list(range(output_width(layer)))
        )

    def _is_output(self, dependency: Any) -> bool:  # noqa: ANN401 - untyped library
        return bool(self._graph.is_out_channel_pruning_fn(dependency.handler))

    def _producers(self, found: Any) -> list[Producer]:  # noqa: ANN401 - untyped library
        producers: dict[Producer, None] = {}
        for dependency, _ in found:
            module = dependency.target.module
            if isinstance(module, Producer) and self._is_output(dependency):
                producers.setdefault(module)
        return list(producers)

    def _group(self, found: Any, producers: list[Producer]) -> ChannelGroup:  # noqa: ANN401 - untyped library
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
        return ChannelGroup(self._names[producers[0]], tuple(producers), links)

    def _obstacle(self, found: Any, outsiders: Sequence[Producer]) -> str | None:  # noqa: ANN401 - untyped library
        if outsiders:
            return f"coupled with {self._names[outsiders[0]]}"
        targets = [dependency.target for dependency, _ in found]
        if any(target.type == _OUTPUT for target in targets):
            return _IS_OUTPUT
        for target in targets:
            module = target.module
            if isinstance(module, nn.Conv2d) and module.groups > 1:
                if module.groups != module.in_channels or module.groups != module.out_channels:
                    return f"meets the groups of {self._names[module]}"
            elif isinstance(module, nn.GroupNorm):
                return f"meets the groups of {self._names[module]}"
        if all(self._is_output(dependency) for dependency, _ in found):
            return _IS_UNREAD
        return None


def output_width(layer: Producer) -> int:
    """How many filters a convolution has, or features a Linear gives."""
    return layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features


def _cut_of(layer: Producer) -> Any:  # noqa: ANN401 - untyped library
    if isinstance(layer, nn.Conv2d):
        return torch_pruning.prune_conv_out_channels
    return torch_pruning.prune_linear_out_channels


def _producers_in_order(network: nn.Module, input_size: int) -> list[Producer]:
    """Convolutions, and Linears that read one row of features an image, as they run."""
    order: dict[Producer, None] = {}

    def note(module: nn.Module, arguments: tuple[Tensor, ...], _output: object) -> None:
        is_row = arguments[0].ndim == _FEATURES
        if isinstance(module, nn.Conv2d) or (isinstance(module, nn.Linear) and is_row):
            order.setdefault(module)

    hooks = [
        module.register_forward_hook(note)
        for module in network.modules()
        if isinstance(module, Producer)
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
