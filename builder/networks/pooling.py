"""Adaptive pooling that enlarges, folded into the Linear behind it: same answers, fewer weights.

VGG and AlexNet pool their last feature map to a fixed grid, so that the first Linear fits any
input. Below their own input size the map is smaller than the grid: at 160 px VGG spreads 5 x 5
values over 7 x 7 places, and the Linear multiplies copies and averages of what it has seen.
Averaging is linear, so it goes into the weights: 25 instead of 49 for each channel.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

_log = logging.getLogger(__name__)

#: Largest difference of logits, as a share of their range, that is rounding.
_ROUNDING = 1e-4
_FEATURES = 2


_Grid = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """A pooling from a grid to a larger one, and the Linear that reads it."""

    pool: str
    linear: str
    wide: nn.Linear
    before: _Grid
    after: _Grid


@dataclass(eq=False)
class _Watched:
    """A pooling or Linear and what it met, each time it ran."""

    seen: list[Tensor] = field(default_factory=list)
    made: list[Tensor] = field(default_factory=list)


def fold_enlarging_pools(network: nn.Module, input_size: int) -> tuple[nn.Module, tuple[str, ...]]:
    """Network for inputs of `input_size` px that gives the same logits, and the poolings folded.

    Folded is an adaptive average pooling whose output is larger than its input and goes, as it
    is and to nothing else, into one Linear. Where there is none, `network` itself comes back;
    else a copy that shares all its tensors but the Linears' that shrank.

    Args:
        network: in evaluation mode; it is not changed.
        input_size: side of an input in pixels that it takes.
    """
    images = torch.rand(1, 3, input_size, input_size, generator=torch.Generator().manual_seed(0))
    pairs, expected = _pairs(network, images)
    if not pairs:
        return network, ()
    folded = copy.deepcopy(network, {id(t): t for t in (*network.parameters(), *network.buffers())})
    for pair in pairs:
        folded.set_submodule(pair.linear, _narrowed(pair))
        folded.set_submodule(pair.pool, nn.Identity())
    if _is_same(folded, images, expected):
        return folded, tuple(pair.pool for pair in pairs)
    _log.info("pooling is left as it is: something else reads it too")
    return network, ()


def _pairs(network: nn.Module, images: Tensor) -> tuple[list[_Pair], Tensor]:
    """Poolings that enlarge with the Linears behind them; and the logits."""
    names: dict[nn.Module, str] = {
        module: name
        for name, module in network.named_modules()
        if isinstance(module, nn.AdaptiveAvgPool2d | nn.Linear)
    }
    watched = {module: _Watched() for module in names}
    hooks = [module.register_forward_hook(_note(watched[module])) for module in names]
    try:
        with torch.no_grad():
            logits = network(images)
    finally:
        for hook in hooks:
            hook.remove()
    pairs: list[_Pair] = []
    for pool, met in watched.items():
        if isinstance(pool, nn.Linear) or len(met.made) != 1:
            continue
        before, after = _grid(met.seen[0]), _grid(met.made[0])
        reader = _reader(met.made[0], watched)
        if reader is not None and after[0] * after[1] > before[0] * before[1]:
            pairs.append(
                _Pair(
                    pool=names[pool],
                    linear=names[reader],
                    wide=reader,
                    before=before,
                    after=after,
                )
            )
    return pairs, logits


def _note(met: _Watched) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def note(_module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        met.seen.append(arguments[0])
        met.made.append(output)

    return note


def _reader(made: Tensor, watched: dict[nn.Module, _Watched]) -> nn.Linear | None:
    """The Linear that read these very values, flattened, and ran once."""
    for module, met in watched.items():
        if not isinstance(module, nn.Linear) or len(met.seen) != 1:
            continue
        (seen,) = met.seen
        # A view of it has its address; whatever computes in between has another.
        is_same = seen.data_ptr() == made.data_ptr() and made.is_contiguous()
        if is_same and seen.ndim == _FEATURES and seen.numel() == made.numel():
            return module
    return None


def _grid(feature_map: Tensor) -> _Grid:
    return feature_map.shape[-2], feature_map.shape[-1]


def _narrowed(pair: _Pair) -> nn.Linear:
    """Linear that answers for the map before pooling as the wide one does for that after it."""
    wide, (rows, columns) = pair.wide, pair.before
    with torch.no_grad():
        weight = wide.weight.view(wide.out_features, -1, *pair.after)
        weight = weight @ _averages(columns, pair.after[1]).to(weight.dtype)
        weight = _averages(rows, pair.after[0]).to(weight.dtype).T @ weight
        weight = weight.flatten(start_dim=1).contiguous()
    narrow = nn.Linear(weight.shape[1], wide.out_features, bias=False, device="meta")
    narrow.weight = nn.Parameter(weight, requires_grad=wide.weight.requires_grad)
    narrow.bias = wide.bias
    return narrow.train(wide.training)


def _averages(before: int, after: int) -> Tensor:
    """Matrix [after, before]: which places each place of the pooled line is the mean of.

    Place i covers floor(i * before / after) to ceil((i + 1) * before / after), as torch's
    adaptive pooling does.
    """
    matrix = torch.zeros(after, before)
    for place in range(after):
        start, end = place * before // after, -(-(place + 1) * before // after)
        matrix[place, start:end] = 1.0 / (end - start)
    return matrix


def _is_same(folded: nn.Module, images: Tensor, expected: Tensor) -> bool:
    try:
        with torch.no_grad():
            logits = folded(images)
    except RuntimeError:
        # Something else that reads the pooled map does not fit the smaller one.
        return False
    if logits.shape != expected.shape:
        return False
    span = float(expected.max() - expected.min())
    return float((logits - expected).abs().max()) <= _ROUNDING * span
