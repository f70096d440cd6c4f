"""Static INT8 before the decision what stays in floats: a network and its observed ranges."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator

import torch
import torch.nn.functional as F  # noqa: N812 - everybody's name for it
from torch import Tensor, fx, nn
from torch.ao.quantization.fx.custom_config import PrepareCustomConfig
from torch.ao.quantization.quantize_fx import convert_fx, prepare_fx

from builder.errors import UnsupportedError, first_line
from builder.quantization.batching import Rows
from builder.quantization.capture import capture
from builder.quantization.clipping import settle_clipping
from builder.quantization.deprecation import deprecations_filtered
from builder.quantization.engine import Engine
from builder.quantization.qconfig import backend_config, qconfig_mapping

_FUNCTIONAL_LAYERS = (torch.conv2d, F.conv2d, F.linear, F.batch_norm)


class Calibration:
    """A network with the ranges that its activations take, to be converted as often as asked.

    FX graph mode. The engine must be selected.

    Args:
        network: in evaluation mode; it is not changed.
        inputs: calibration batches, float32 [N, 3, H, W].
        engine: whose ranges and rounding to prepare for.

    Raises:
        UnsupportedError: neither can FX trace the network nor can it be captured (the message
            names the module and the line), or it does not survive the observation.
    """

    def __init__(self, network: nn.Module, inputs: Iterable[Tensor], engine: Engine) -> None:
        batches = iter(inputs)
        self._engine = engine
        self._first = next(batches)
        with deprecations_filtered():
            graph = plain_graph(network, self._first)
            self._takes_batches = _runs(graph, self._first)
            self._mapping = qconfig_mapping(engine, graph)
            try:
                self._prepared = prepare_fx(
                    graph,
                    self._mapping,
                    (self._first,),
                    prepare_custom_config=PrepareCustomConfig().set_non_traceable_module_classes(
                        [Rows]
                    ),
                    backend_config=backend_config(self._engine),
                )
                self.logits(self._prepared, self._first)
                for batch in batches:
                    self.logits(self._prepared, batch)
            except OSError:
                # From whatever reads the calibration images.
                raise
            except Exception as error:
                # The network's own code, now in pieces: it may raise anything.
                raise _does_not_run(error) from error

    @property
    def prepared(self) -> fx.GraphModule:
        """The fused network in floats with its observers; not to be changed."""
        return self._prepared

    def logits(self, network: nn.Module, images: Tensor) -> Tensor:
        """Logits of a form of the network, one image at a time where that is all it takes."""
        step = len(images) if self._takes_batches else 1
        with torch.inference_mode():
            return torch.cat([_answer(network, part) for part in torch.split(images, step)])

    def convert(self, keep_float: Collection[str] = ()) -> nn.Module:
        """The network in static INT8, except in the modules named.

        Raises:
            UnsupportedError: it does not survive the conversion.
        """
        mapping = copy.deepcopy(self._mapping)
        for name in keep_float:
            mapping.set_module_name(name, None)
        with deprecations_filtered():
            try:
                quantized: fx.GraphModule = convert_fx(
                    copy.deepcopy(self._prepared),
                    qconfig_mapping=mapping,
                    backend_config=backend_config(self._engine),
                )
                settle_clipping(quantized)
                self.logits(quantized, self._first)
            except Exception as error:
                raise _does_not_run(error) from error
        return quantized


def plain_graph(network: nn.Module, example: Tensor) -> fx.GraphModule:
    """`network` as a graph of torch's own modules: by symbolic tracing, else as it runs.

    Args:
        network: in evaluation mode; it is not changed.
        example: float32 [N, 3, H, W], real images.

    Raises:
        UnsupportedError: by neither; the message names the module and the line.
    """
    try:
        network = copy.deepcopy(network)
        traced = fx.GraphModule(network, fx.Tracer().trace(network))
        _answer(traced, example[:1])
    except Exception as error:  # noqa: BLE001 - tracing runs the network's own code on stand-ins
        try:
            return capture(network, example)
        except UnsupportedError as reason:
            message = f"{reason} (nor can FX trace it: {first_line(error)})"
            raise UnsupportedError(message) from reason
    if _is_plain(traced):
        return traced
    try:
        return capture(network, example)
    except UnsupportedError:
        # FX knows some functional layers too; only their names are lost.
        return traced


def layers_of(network: fx.GraphModule, names: Collection[str]) -> Iterator[str]:
    """Those of `names` that the graph calls, once each, in the order of the calls."""
    called = (str(node.target) for node in network.graph.nodes if node.op == "call_module")
    return (name for name in dict.fromkeys(called) if name in names)


def _is_plain(traced: fx.GraphModule) -> bool:
    if any(node.target in _FUNCTIONAL_LAYERS for node in traced.graph.nodes):
        return False
    return not any(
        isinstance(module, nn.Conv2d) and isinstance(module.padding, str)
        for module in traced.modules()
    )


def _answer(network: nn.Module, images: Tensor) -> Tensor:
    # Called as such, a graph that fails prints its own code to stderr.
    logits: Tensor = (network.forward if isinstance(network, fx.GraphModule) else network)(images)
    return logits


def _runs(network: nn.Module, images: Tensor) -> bool:
    try:
        with torch.inference_mode():
            _answer(network, images)
    except RuntimeError:
        return False
    return True


def _does_not_run(error: Exception) -> UnsupportedError:
    return UnsupportedError(f"it does not run in static INT8: {first_line(error)}")
