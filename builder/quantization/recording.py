"""One run of a network on real images, recorded as a graph of plain modules and functions."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, fx, nn
from torch.overrides import TorchFunctionMode

from builder.quantization.plain_layers import PlainLayer, plain_layer

#: What turns activations into Python values, by which the network then goes one way or another.
_READS = frozenset(
    {
        "__array__", "__bool__", "__complex__", "__contains__", "__float__", "__index__",
        "__int__", "allclose", "equal", "is_nonzero", "item", "numpy", "tolist",
    }
)  # fmt: skip
#: Methods by the functions that FX quantization knows; in place or not makes no difference there.
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": operator.add,
    "add_": operator.add,
    "mul": operator.mul,
    "mul_": operator.mul,
    "sub": operator.sub,
    "div": operator.truediv,
    "matmul": torch.matmul,
    "__getitem__": operator.getitem,
}


class ValueReadError(Exception):
    """The network's own code asks for a value that depends on the image."""


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What one run did. Its graph has one input and one output."""

    graph: fx.Graph
    modules: dict[str, nn.Module]
    tensors: dict[str, Tensor]


class Recorder(TorchFunctionMode):
    """Writes down what a network does with its input, by torch's own protocol for overriding.

    The network runs for real, so all that its Python code computes from shapes is a number.
    What does not depend on the input is a constant. `path` names the module that is running,
    also after an error.

    The protocol: https://docs.pytorch.org/docs/stable/notes/extending.html#extending-all-torch-api-with-modes
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.path: list[str] = []
        self._network = network
        self._graph = fx.Graph()
        self._nodes: dict[int, fx.Node] = {}
        # Identities are told apart by address, which a collected tensor would give away.
        self._alive: list[Tensor] = []
        self._modules: dict[str, nn.Module] = {}
        self._layers: dict[tuple[Any, ...], str] = {}
        self._tensors: dict[str, Tensor] = {}
        self._constants: dict[str, fx.Node] = {}
        self._names = {
            id(tensor): name
            for named in (self._network.named_parameters(), self._network.named_buffers())
            for name, tensor in named
        }
        self._leaves_entered = 0

    def record(self, images: Tensor) -> Recording:
        """Run the network on `images`, float32 [N, 3, H, W].

        Raises:
            ValueReadError: it decides by values of the images.
            TypeError: it writes into a part of a tensor, or answers with something else than one
            tensor made from its input.
            Exception: whatever the network's own code raises.
        """
        self._remember(images, self._graph.placeholder("images"))
        with torch.no_grad(), self._hooked(), self:
            logits = self._network(images)
        if not self._is_traced(logits):
            message = f"it answers with a {type(logits).__name__} that cannot be followed"
            raise TypeError(message)
        self._graph.output(self._nodes[id(logits)])
        for node in list(self._graph.nodes):
            if node.target is operator.getitem and not node.users:
                self._graph.erase_node(node)
        self._separate_nested()
        return Recording(graph=self._graph, modules=self._modules, tensors=self._tensors)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,  # noqa: ANN401 - torch's own signature
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function gives
        """Run a function of torch, and write it down where it depends on the input."""
        del types
        kwargs = kwargs or {}
        if self._leaves_entered or not self._holds_traced((args, kwargs)):
            return func(*args, **kwargs)
        name = func.__name__
        if name in _READS:
            message = "it decides by the values of the image"
            raise ValueReadError(message)
        if name == "__setitem__":
            message = "it writes into a part of a tensor, for which a graph has no word"
            raise TypeError(message)
        layer = plain_layer(func, args, kwargs, self._is_traced)
        # Arguments first: the function may change them in place.
        inputs = None if layer else (self._as_nodes(args), self._as_nodes(kwargs))
        result = func(*args, **kwargs)
        if layer is not None:
            self._remember(result, self._layer_node(layer))
        elif inputs is not None and _holds_tensor(result):
            self._remember(result, self._node(func, *inputs))
        return result

    def _node(
        self, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> fx.Node:
        name, of = func.__name__, getattr(func, "__self__", None)
        if name == "__get__":
            return self._graph.call_function(getattr, (args[0], getattr(of, "__name__", "")))
        if getattr(torch.Tensor, name, None) is not func:
            return self._graph.call_function(func, tuple(args), dict(kwargs))
        known = _FUNCTIONS.get(name)
        if known is not None and not kwargs:
            return self._graph.call_function(known, tuple(args))
        return self._graph.call_method(name, tuple(args), dict(kwargs))

    def _layer_node(self, layer: PlainLayer) -> fx.Node:
        source = self._nodes[id(layer.source)]
        if layer.padding is not None:
            source = self._graph.call_function(F.pad, (source, layer.padding))
        return self._graph.call_module(self._layer_name(layer), (source,))

    def _layer_name(self, layer: PlainLayer) -> str:
        """Name of the layer: whose weights it has, or else who runs it; equal layers are one."""
        module = layer.module
        held = [*module.parameters(), *module.buffers()]
        key = (repr(module), *(tensor.data_ptr() for tensor in held))
        # Storage tells layers apart only as long as it lives.
        self._alive.extend(held)
        if key not in self._layers:
            running = self.path[-1] if self.path else ""
            parameter = self._names.get(id(layer.weight))
            name = parameter.rpartition(".")[0] if parameter else running
            self._layers[key] = self._add_module(name or _kind(module), module)
        return self._layers[key]

    def _add_module(self, name: str, module: nn.Module) -> str:
        free, number = name, 0
        while self._modules.get(free, module) is not module:
            number += 1
            free = f"{name}_{number}"
        self._modules[free] = module
        return free

    def _separate_nested(self) -> None:
        """Move layers aside that others are named below: fusing would lose those."""
        for name in list(self._modules):
            others = [*self._modules, *self._tensors]
            if any(other.startswith(f"{name}.") for other in others):
                module = self._modules.pop(name)
                moved = self._add_module(f"{name}.{_kind(module)}", module)
                for node in self._graph.nodes:
                    if node.op == "call_module" and node.target == name:
                        node.target = moved

    @contextlib.contextmanager
    def _hooked(self) -> Iterator[None]:
        handles = []
        for name, module in self._network.named_modules():
            enter, leave = self._leaf_hooks(name) if _is_leaf(module, name) else self._hooks(name)
            handles += [
                module.register_forward_pre_hook(enter, with_kwargs=True),
                module.register_forward_hook(leave, with_kwargs=True),
            ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _hooks(self, name: str) -> tuple[Callable[..., None], Callable[..., None]]:
        def enter(*_: object) -> None:
            self.path.append(name)

        def leave(*_: object) -> None:
            self.path.pop()

        return enter, leave

    def _leaf_hooks(self, name: str) -> tuple[Callable[..., None], Callable[..., None]]:
        pending: list[Any] = []

        def enter(module: nn.Module, args: Any, kwargs: Any) -> None:  # noqa: ANN401 - a hook's signature
            del module
            self.path.append(name)
            self._leaves_entered += 1
            is_written = self._leaves_entered == 1 and self._holds_traced((args, kwargs))
            # Before it runs, because it may change its input in place.
            pending.append((self._as_nodes(args), self._as_nodes(kwargs)) if is_written else None)

        def leave(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:  # noqa: ANN401 - likewise
            del args, kwargs
            self._leaves_entered -= 1
            self.path.pop()
            inputs = pending.pop()
            if inputs is not None:
                target = self._add_module(name, module)
                self._remember(result, self._graph.call_module(target, *inputs))

        return enter, leave

    def _remember(self, result: Any, node: fx.Node) -> None:  # noqa: ANN401 - tensors, nested
        if isinstance(result, Tensor):
            self._nodes[id(result)] = node
            self._alive.append(result)
        elif isinstance(result, tuple | list):
            for place, part in enumerate(result):
                self._remember(part, self._graph.call_function(operator.getitem, (node, place)))

    def _as_nodes(self, value: Any) -> Any:  # noqa: ANN401 - arguments, nested
        if isinstance(value, Tensor):
            return self._nodes.get(id(value)) or self._constant(value)
        if isinstance(value, tuple | list):
            parts = [self._as_nodes(part) for part in value]
            return parts if isinstance(value, list) else tuple(parts)
        if isinstance(value, dict):
            return {key: self._as_nodes(part) for key, part in value.items()}
        if isinstance(value, slice):
            return slice(*map(self._as_nodes, (value.start, value.stop, value.step)))
        if not isinstance(value, int) and hasattr(value, "__index__"):
            return operator.index(value)
        return value

    def _constant(self, tensor: Tensor) -> fx.Node:
        self._alive.append(tensor)
        name = self._names.setdefault(id(tensor), f"constant_{len(self._tensors)}")
        if name not in self._tensors:
            self._tensors[name] = tensor
            self._constants[name] = self._graph.create_node("get_attr", name)
        return self._constants[name]

    def _is_traced(self, value: Any) -> bool:  # noqa: ANN401 - any argument
        return isinstance(value, Tensor) and id(value) in self._nodes

    def _holds_traced(self, value: Any) -> bool:  # noqa: ANN401 - arguments, nested
        if isinstance(value, tuple | list):
            return any(self._holds_traced(part) for part in value)
        if isinstance(value, dict):
            return any(self._holds_traced(part) for part in value.values())
        return self._is_traced(value)


def _is_leaf(module: nn.Module, name: str) -> bool:
    if isinstance(module, nn.Conv2d) and isinstance(module.padding, str):
        # Integer kernels take numbers only.
        return False
    return fx.Tracer().is_leaf_module(module, name)


def _holds_tensor(value: Any) -> bool:  # noqa: ANN401 - results, nested
    if isinstance(value, tuple | list):
        return any(_holds_tensor(part) for part in value)
    return isinstance(value, Tensor)


def _kind(module: nn.Module) -> str:
    kinds = {nn.Conv2d: "conv", nn.Linear: "linear", nn.BatchNorm2d: "norm"}
    return kinds.get(type(module), "layer")
