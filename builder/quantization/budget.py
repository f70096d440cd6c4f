"""Static INT8 within an accuracy budget: what hurts most stays in FP32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from builder.progress import Progress
from builder.quantization.calibration import Calibration
from builder.quantization.damage import damage_by_layer
from builder.quantization.engine import Engine
from builder.studies.damage import LayerDamage


@dataclass(frozen=True, kw_only=True)
class Held:
    """A quantized network and the layers that had to stay in floats for it."""

    network: nn.Module
    #: In the order of their damage, worst first.
    float_layers: tuple[str, ...]
    #: What `drop_of` said of it; above the budget where half of the layers did not help.
    drop: float
    #: Of every layer, in the network's order; empty where nothing had to be found out.
    damages: tuple[LayerDamage, ...]


def quantize_within(
    network: nn.Module,
    inputs: Sequence[Tensor],
    engine: Engine,
    *,
    drop_of: Callable[[nn.Module], float],
    max_drop: float,
    progress: Progress,
    activity: str,
) -> Held:
    """`network` in static INT8 with the fewest layers in FP32 that keep its drop in the budget.

    Where everything in INT8 loses too much, layers are ranked by the damage that each does
    alone, and the worst 1, 2, 4, ... kept in floats until the budget holds; then the fewest
    that do are found by bisection. At most half of the layers are kept; where that is not
    enough, the attempt with the smallest drop is the result. The engine must be selected.

    Args:
        network: in evaluation mode.
        inputs: calibration batches, float32 [N, 3, H, W]; used more than once.
        engine: whose ranges and rounding to prepare for.
        drop_of: share of top-1 that a quantized network loses.
        max_drop: the budget for it.
        progress: told of the layers measured.
        activity: what to tell it.

    Raises:
        UnsupportedError: the network cannot be quantized at all.
    """
    calibration = Calibration(network, inputs, engine)
    whole = _attempt(calibration, (), drop_of)
    if whole.drop <= max_drop:
        return whole
    damages = damage_by_layer(calibration, inputs, progress=progress, activity=activity)
    worst = [d.layer for d in sorted(damages, key=lambda d: d.kl_nats, reverse=True)]
    attempts = [whole]

    def holds(count: int) -> bool:
        attempts.append(_attempt(calibration, tuple(worst[:count]), drop_of))
        return attempts[-1].drop <= max_drop

    most = len(worst) // 2
    failed, count = 0, 1
    while count <= most and not holds(count):
        failed = count
        count = most if count < most < 2 * count else 2 * count
    while failed < most and count - failed > 1:
        middle = (failed + count) // 2
        failed, count = (failed, middle) if holds(middle) else (middle, count)
    fitting = [attempt for attempt in attempts if attempt.drop <= max_drop]
    best = (
        min(fitting, key=lambda attempt: len(attempt.float_layers))
        if fitting
        else min(attempts, key=lambda attempt: (attempt.drop, len(attempt.float_layers)))
    )
    return Held(
        network=best.network,
        float_layers=best.float_layers,
        drop=best.drop,
        damages=damages,
    )


def _attempt(
    calibration: Calibration,
    keep_float: tuple[str, ...],
    drop_of: Callable[[nn.Module], float],
) -> Held:
    quantized = calibration.convert(keep_float)
    drop = drop_of(quantized)
    return Held(network=quantized, float_layers=keep_float, drop=drop, damages=())
