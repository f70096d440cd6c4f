"""Two recordings at different batch sizes made one graph for any batch size."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from builder.quantization.recording import Recording

_SHAPERS = ("view", "reshape")


class DivergenceError(Exception):
    """The network did something else with other images or another number of them."""


class Rows(nn.Module):
    """One row, a class token for example, as many times as there are images."""

    def __init__(self, row: Tensor) -> None:
        super().__init__()
        self.row: Tensor
        self.register_buffer("row", row)

    def forward(self, images: Tensor) -> Tensor:
        """Rows [N, ...] beside `images` [N, ...]."""
        return self.row.expand(images.shape[0], *self.row.shape[1:])


@dataclass(frozen=True, kw_only=True)
class _Count:
    """A number that depends on the batch size: `factor` times it, and `rest` more."""

    factor: int
    rest: int


def unite(recording: Recording, other: Recording, sizes: tuple[int, int]) -> Recording:
    """`recording` with the batch size read from the input instead of written into its graph.

    Whatever number differs between the two is taken for a multiple of the batch size, plus a
    constant. Equal `sizes` leave the numbers as they are and only compare.

    Args:
        recording: changed in place.
        other: of other images of the same shape.
        sizes: batch sizes of the two.

    Raises:
        DivergenceError: they differ in more than such numbers.
    """
    nodes, others = list(recording.graph.nodes), list(other.graph.nodes)
    if len(nodes) != len(others):
        message = "its steps depend on the values or on the number of the images"
        raise DivergenceError(message)
    rewriter = _Rewriter(recording, other, sizes, dict(zip(others, nodes, strict=True)))
    for node, twin in zip(nodes, others, strict=True):
        rewriter.unite(node, twin)
    recording.graph.lint()
    return recording


class _Rewriter:
    def __init__(
        self,
        recording: Recording,
        other: Recording,
        sizes: tuple[int, int],
        twins: dict[fx.Node, fx.Node],
    ) -> None:
        self._graph = recording.graph
        self._tensors, self._other_tensors = recording.tensors, other.tensors
        self._modules = recording.modules
        self._sizes = sizes
        self._twins = twins
        self._batch: fx.Node | None = None

    def unite(self, node: fx.Node, twin: fx.Node) -> None:
        if (node.op, node.target) != (twin.op, twin.target):
            message = f"'{node.name}' is another step with other images"
            raise DivergenceError(message)
        if node.op == "get_attr":
            self._unite_constant(node, twin)
            return
        args = self._match(node.args, twin.args)
        kwargs = self._match(node.kwargs, twin.kwargs)
        if not _any_count((args, kwargs)):
            return
        if _is_shaper(node) and _fits_minus_one(args):
            node.args = _replace(args, lambda _: -1)
            return
        with self._graph.inserting_before(node):
            node.args = _replace(args, self._count_node)
            node.kwargs = _replace(kwargs, self._count_node)

    def _match(self, value: Any, twin: Any) -> Any:  # noqa: ANN401 - arguments, nested
        if isinstance(value, fx.Node):
            if not isinstance(twin, fx.Node) or self._twins[twin] is not value:
                message = "its steps use other results with other images"
                raise DivergenceError(message)
            return value
        if isinstance(value, tuple | list) and isinstance(twin, tuple | list):
            if len(value) != len(twin):
                message = "a shape has more dimensions with other images"
                raise DivergenceError(message)
            parts = [self._match(*pair) for pair in zip(value, twin, strict=True)]
            return parts if isinstance(value, list) else tuple(parts)
        if isinstance(value, dict) and isinstance(twin, dict) and value.keys() == twin.keys():
            return {key: self._match(part, twin[key]) for key, part in value.items()}
        if isinstance(value, slice) and isinstance(twin, slice):
            bounds = (value.start, value.stop, value.step)
            matched = self._match(bounds, (twin.start, twin.stop, twin.step))
            return slice(*matched)
        if type(value) is int and type(twin) is int and value != twin:
            return self._count(value, twin)
        if value != twin:
            message = f"{value} is {twin} with other images"
            raise DivergenceError(message)
        return value

    def _count(self, value: int, twin: int) -> _Count:
        size, other_size = self._sizes
        factor, odd = divmod(twin - value, other_size - size) if size != other_size else (0, 1)
        if odd:
            message = f"the number {value} is {twin} with other images"
            raise DivergenceError(message)
        return _Count(factor=factor, rest=value - factor * size)

    def _count_node(self, count: _Count) -> fx.Node:
        node = self._batch_node()
        if count.factor != 1:
            node = self._graph.call_function(operator.mul, (node, count.factor))
        if count.rest != 0:
            node = self._graph.call_function(operator.add, (node, count.rest))
        return node

    def _batch_node(self) -> fx.Node:
        if self._batch is None:
            first = next(iter(self._graph.nodes))
            with self._graph.inserting_after(first):
                self._batch = self._graph.call_method("size", (first, 0))
        return self._batch

    def _unite_constant(self, node: fx.Node, twin: fx.Node) -> None:
        name = str(node.target)
        tensor, other = self._tensors[name], self._other_tensors[name]
        if tensor.shape == other.shape:
            if not torch.equal(tensor, other):
                message = "it computes with images where torch does not tell"
                raise DivergenceError(message)
            return
        if not _repeats(tensor, other, self._sizes):
            message = f"a tensor that it makes is {list(other.shape)} with other images"
            raise DivergenceError(message)
        rows = f"{name}_rows"
        self._modules[rows] = Rows(tensor[:1].detach().clone())
        first = next(iter(self._graph.nodes))
        with self._graph.inserting_after(node):
            repeated = self._graph.call_module(rows, (first,))
        node.replace_all_uses_with(repeated)
        self._twins[twin] = repeated


def _repeats(tensor: Tensor, other: Tensor, sizes: tuple[int, int]) -> bool:
    """Whether both are one and the same row, once for each image."""
    rows: tuple[int, int] = (tensor.shape[:1].numel(), other.shape[:1].numel())
    if rows != sizes or tensor.shape[1:] != other.shape[1:]:
        return False
    rest = torch.cat([tensor, other])
    return torch.equal(rest, tensor[:1].expand_as(rest))


def _is_shaper(node: fx.Node) -> bool:
    return str(node.target) in _SHAPERS or node.target is torch.reshape


def _fits_minus_one(args: Any) -> bool:  # noqa: ANN401 - arguments, nested
    sizes = args[1] if isinstance(args[1], tuple | list) else args[1:]
    unknown = [size for size in sizes if isinstance(size, _Count) or size == -1]
    return len(unknown) == 1


def _any_count(value: Any) -> bool:  # noqa: ANN401 - arguments, nested
    if isinstance(value, tuple | list):
        return any(map(_any_count, value))
    if isinstance(value, dict):
        return any(map(_any_count, value.values()))
    if isinstance(value, slice):
        return _any_count((value.start, value.stop, value.step))
    return isinstance(value, _Count)


def _replace(value: Any, make: Callable[[_Count], Any]) -> Any:  # noqa: ANN401 - arguments, nested
    if isinstance(value, _Count):
        return make(value)
    if isinstance(value, tuple | list):
        parts = [_replace(part, make) for part in value]
        return parts if isinstance(value, list) else tuple(parts)
    if isinstance(value, dict):
        return {key: _replace(part, make) for key, part in value.items()}
    if isinstance(value, slice):
        return slice(*(_replace(part, make) for part in (value.start, value.stop, value.step)))
    return value
