"""What each layer's quantization costs: found by rounding that layer alone."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.ao.quantization import ObserverBase

from builder.progress import Progress, tracked
from builder.quantization.calibration import Calibration, layers_of
from builder.quantization.deprecation import deprecations_filtered
from builder.quantization.engine import Engine
from builder.quantization.static import int8_modules
from builder.studies.damage import LayerDamage

#: Each layer costs a pass over the images, and few are enough to tell the worst from the rest.
_IMAGES = 32


def measure_damage(
    network: nn.Module,
    inputs: Sequence[Tensor],
    engine: Engine,
    *,
    progress: Progress,
    activity: str,
) -> tuple[LayerDamage, ...]:
    """Damage by each layer that static INT8 would quantize, in the network's order.

    The layer's weights are rounded per channel and its output to the range observed, everything
    else stays in FP32. The engine must be selected.

    Args:
        network: in evaluation mode.
        inputs: batches, float32 [N, 3, H, W]; ranges come from all, damages from the first 32.
        engine: whose ranges and rounding to assume.
        progress: told of each layer.
        activity: what to tell it.

    Raises:
        UnsupportedError: the network cannot be quantized at all.
    """
    calibration = Calibration(network, inputs, engine)
    return damage_by_layer(calibration, inputs, progress=progress, activity=activity)


def damage_by_layer(
    calibration: Calibration,
    inputs: Sequence[Tensor],
    *,
    progress: Progress,
    activity: str,
) -> tuple[LayerDamage, ...]:
    """As `measure_damage`, of a network that has been calibrated."""
    quantized = int8_modules(calibration.convert())
    layers = list(layers_of(calibration.prepared, quantized))
    images = list(_first_images(inputs))
    network = _without_observers(calibration.prepared)
    expected = [_log_softmax(calibration.logits(network, batch)) for batch in images]
    macs = _macs(network, layers, images[0][:1])
    damages = []
    for layer in tracked(layers, progress, activity, len(layers)):
        with _one_rounded(network, calibration.prepared, layer):
            answers = [_log_softmax(calibration.logits(network, batch)) for batch in images]
        divergences = [
            (log_p.exp() * (log_p - log_q)).sum(dim=1)
            for log_p, log_q in zip(expected, answers, strict=True)
        ]
        kl_nats = max(0.0, float(torch.cat(divergences).mean()))
        damages.append(LayerDamage(layer=layer, macs=macs[layer], kl_nats=kl_nats))
    return tuple(damages)


class _Rounding(nn.Module):
    """Rounds activations as integers would, and gives them back as floats."""

    def __init__(self, observer: Any) -> None:  # noqa: ANN401 - observers are untyped
        super().__init__()
        scale, zero_point = observer.calculate_qparams()
        self._scale, self._zero_point = float(scale), int(zero_point)

    def forward(self, activations: Tensor) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(
            activations, self._scale, self._zero_point, 0, 255
        )


def _first_images(inputs: Iterable[Tensor]) -> Iterator[Tensor]:
    left = _IMAGES
    for batch in inputs:
        if left > 0:
            yield batch[:left]
            left -= len(batch)


def _log_softmax(logits: Tensor) -> Tensor:
    return logits.double().log_softmax(dim=1)


def _without_observers(prepared: fx.GraphModule) -> fx.GraphModule:
    network = copy.deepcopy(prepared)
    # Under all of its names, because one observer may stand in several places.
    for name, module in list(network.named_modules(remove_duplicate=False)):
        if isinstance(module, ObserverBase):
            network.set_submodule(name, nn.Identity())
    return network


@contextlib.contextmanager
def _one_rounded(network: fx.GraphModule, prepared: fx.GraphModule, layer: str) -> Iterator[None]:
    """Round one layer of `network` for a while."""
    holder = network.get_submodule(layer)
    weighted = next(module for module in holder.modules() if "weight" in module._parameters)  # noqa: SLF001 - whose own it is
    before = weighted.weight
    observed = list(_observers_after(prepared, layer))
    with deprecations_filtered():
        weighted.weight = nn.Parameter(_rounded_weight(weighted, holder), requires_grad=False)
        for name in observed:
            network.set_submodule(name, _Rounding(prepared.get_submodule(name)))
    try:
        yield
    finally:
        weighted.weight = before
        for name in observed:
            network.set_submodule(name, nn.Identity())


def _rounded_weight(weighted: nn.Module, holder: nn.Module) -> Tensor:
    qconfig: Any = holder.qconfig
    weight: Any = weighted.weight
    observer = qconfig.weight()
    observer(weight.detach())
    scale, zero_point = observer.calculate_qparams()
    return torch.fake_quantize_per_channel_affine(
        weight.detach(), scale.float(), zero_point.int(), 0, -128, 127
    )


def _observers_after(prepared: fx.GraphModule, layer: str) -> Iterator[str]:
    for node in prepared.graph.nodes:
        if node.op == "call_module" and node.target == layer:
            for user in node.users:
                if user.op == "call_module" and isinstance(
                    prepared.get_submodule(str(user.target)), ObserverBase
                ):
                    yield str(user.target)


def _macs(network: nn.Module, layers: Sequence[str], image: Tensor) -> Mapping[str, int]:
    macs: dict[str, int] = dict.fromkeys(layers, 0)
    handles = []
    for layer in layers:

        def count(module: nn.Module, _: object, output: Tensor, layer: str = layer) -> None:
            weight = next(iter(module.parameters()))
            macs[layer] += weight.numel() * output.numel() // weight.shape[0]

        handles.append(network.get_submodule(layer).register_forward_hook(count))
    with torch.inference_mode():
        network(image)
    for handle in handles:
        handle.remove()
    return macs
