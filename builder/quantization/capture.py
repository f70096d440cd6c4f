"""Networks that FX cannot trace, captured as they run at one input size."""

from __future__ import annotations

import copy
import linecache
import traceback
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, fx, nn

from builder.errors import UnsupportedError, first_line
from builder.quantization.batching import DivergenceError, unite
from builder.quantization.recording import Recorder, Recording

#: Folded batch norms and other layouts round elsewhere: the share of the logits' range that
#: the captured network may be off by.
_TOLERANCE = 1e-4
_SIZES = (2, 3)
_NOT_THE_NETWORK = (str(Path(torch.__file__).parent), str(Path(__file__).parent))


def capture(network: nn.Module, example: Tensor) -> fx.GraphModule:
    """`network` as plain modules and functions at the size of `example`, for any batch size.

    Python code that computes with shapes is run once and leaves only its numbers. Convolutions,
    Linears and batch norms that are called as functions, and subclasses of `nn.Conv2d`, become
    torch's own modules, named like those whose weights they have. Where the network has a batch
    size of one written into it, so has the result.

    Args:
        network: in evaluation mode; it is not changed.
        example: float32 [N, 3, H, W], real images.

    Raises:
        UnsupportedError: its code goes by the values of the images, or fails; the message names
            the module and the line.
    """
    network = copy.deepcopy(network)
    images = _distinct(example, sum(_SIZES))
    batches = (images[: _SIZES[0]], images[_SIZES[0] :])
    try:
        captured = _united(network, batches)
    except UnsupportedError:
        # A batch size of one may be written into the network.
        captured = _united(network, (images[:1], images[-1:]))
        batches = (images[:1], images[-1:])
    for batch in batches:
        _check_same(network, captured, batch)
    return captured


def _united(network: nn.Module, batches: tuple[Tensor, Tensor]) -> fx.GraphModule:
    first, second = (_recorded(network, batch) for batch in batches)
    try:
        united = unite(first, second, (len(batches[0]), len(batches[1])))
    except DivergenceError as error:
        message = f"{type(network).__name__} cannot be captured: {error}"
        raise UnsupportedError(message) from error
    _settle_padding(united)
    graph_module = fx.GraphModule({**united.modules, **united.tensors}, united.graph)
    return graph_module.eval()


def _recorded(network: nn.Module, images: Tensor) -> Recording:
    recorder = Recorder(network)
    try:
        return recorder.record(images)
    except Exception as error:
        # The network's own code: it may raise anything.
        path = recorder.path[-1] if recorder.path else ""
        kind = type(network.get_submodule(path)).__name__
        culprit = f"module '{path}' ({kind})" if path else f"the network itself ({kind})"
        message = f"cannot capture {culprit}{_line_of(error)}: {first_line(error)}"
        raise UnsupportedError(message) from error


def _line_of(error: Exception) -> str:
    """The innermost line of the network's own that led to `error`."""
    for frame, number in reversed(list(traceback.walk_tb(error.__traceback__))):
        file = frame.f_code.co_filename
        if not file.startswith(_NOT_THE_NETWORK):
            source = linecache.getline(file, number).strip()
            return f" at {Path(file).name}:{number}: `{source}`"
    return ""


def _distinct(example: Tensor, count: int) -> Tensor:
    """`count` images that differ, made from the real ones in `example`."""
    turned = torch.cat([example, example.flip(-1), example.flip(-2), example.flip(-1, -2)])
    dimmed = [turned * factor for factor in (1.0, 0.5)]
    return torch.cat(dimmed)[:count]


def _settle_padding(recording: Recording) -> None:
    """Leave zeros to the convolution itself, or at least to a function that integers know."""
    for node in list(recording.graph.nodes):
        sides = _zeros(node)
        if sides is None:
            continue
        node.target, node.kwargs = torch.constant_pad_nd, {}
        node.args = (node.args[0], list(sides))
        if len(sides) == 4 and sides[0] == sides[1] and sides[2] == sides[3]:  # noqa: PLR2004 - both axes
            _fold_padding(recording, node, (sides[2], sides[0]))


def _zeros(node: fx.Node) -> tuple[int, ...] | None:
    """Zeros that `node` adds on each side; None if it does not."""
    if node.target is not F.pad:
        return None
    named = dict(zip(("pad", "mode", "value"), node.args[1:], strict=False)) | dict(node.kwargs)
    pad = named["pad"]
    is_plain = named.get("mode", "constant") == "constant" and not named.get("value")
    if not is_plain or not isinstance(pad, tuple | list):
        return None
    sides = tuple(side for side in pad if isinstance(side, int) and side >= 0)
    return sides if len(sides) == len(pad) else None


def _fold_padding(recording: Recording, node: fx.Node, padding: tuple[int, int]) -> None:
    user = next(iter(node.users))
    calls = [other for other in recording.graph.nodes if other.target == user.target]
    if user.op != "call_module" or len(node.users) > 1 or len(calls) > 1:
        return
    module = recording.modules[str(user.target)]
    if type(module) is not nn.Conv2d or module.padding != (0, 0):
        return
    # A copy, for the network's own modules are still to be compared with.
    folded = copy.deepcopy(module)
    folded.padding = padding
    recording.modules[str(user.target)] = folded
    user.replace_input_with(node, node.all_input_nodes[0])
    recording.graph.erase_node(node)


def _check_same(network: nn.Module, captured: nn.Module, images: Tensor) -> None:
    with torch.inference_mode():
        expected, got = network(images), captured(images)
    error = float((expected - got).abs().max())
    # Written so that a NaN fails too.
    if not error <= _TOLERANCE * float(expected.max() - expected.min()):
        message = (
            f"{type(network).__name__} cannot be captured: captured it differs from itself by "
            f"{error:.3g}; does its forward change tensors in place through views?"
        )
        raise UnsupportedError(message)
