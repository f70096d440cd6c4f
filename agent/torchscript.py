"""The TorchScript format: the only module of the agent that imports torch."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from agent.errors import NetworkError, UnsupportedNetworkError
from agent.protocol import Preparation
from contract.manifest import Quantization, Scheme

with warnings.catch_warnings():
    # torch.jit and quantized tensors are deprecated upstream; this module is the way out.
    warnings.simplefilter("ignore", DeprecationWarning)
    import torch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Engines that stand in for one another, nearest numerics first. Seen on ARM: bundles made
#: for x86 match to the bit on onednn and to 2e-3 on qnnpack.
_NEAREST = ("onednn", "x86", "fbgemm", "qnnpack")

_NAMED_ERROR = re.compile(r"[\w.]*(Error|Exception): ")
_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory", "Cannot allocate memory")
_MISSING = (
    "Didn't find engine",
    "Unknown qengine",
    "Could not run",
    "Unknown builtin op",
    "not supported",
    "No such operator",
)


class TorchNetwork:
    """A TorchScript module ready to run on this CPU."""

    def __init__(self, module: Any, engine: str | None) -> None:  # noqa: ANN401 - torch.jit is untyped
        self._module = module
        self._engine = engine

    @property
    def engine(self) -> str | None:
        """Quantized engine that it runs on; None for plain floats."""
        return self._engine

    def logits(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Logits [N, classes] of inputs [N, 3, H, W]."""
        with self.repeating(images) as forward:
            return cast("npt.NDArray[np.float32]", forward().numpy())

    @contextmanager
    def repeating(self, images: npt.NDArray[np.float32]) -> Iterator[Callable[[], Any]]:
        """One forward pass of inputs [N, 3, H, W] at each call, as a tensor."""
        if self._engine is not None:
            # Some kernels ask for their engine when they run, and another network may have
            # been loaded for another one since.
            torch.backends.quantized.engine = self._engine
        # Made outside inference mode. Inside it, each call took longer: seen with torch 2.13,
        # 2.82 against 2.72 ms of a ResNet-18 at 64 px in static INT8.
        inputs = torch.from_numpy(images)
        with _translated("run"), torch.inference_mode():
            yield partial(self._module, inputs)


class TorchScriptRuntime:
    """TorchScript on a fixed number of threads.

    Args:
        threads: CPU threads of one inference; inferences never run beside each other.
    """

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.set_num_interop_threads(1)
        # Denormal numbers cost a hundredfold and change no answer; golden vectors prove it.
        torch.set_flush_denormal(True)

    def engines(self) -> list[str]:
        """Quantized engines of this torch on this box."""
        found: list[str] = torch.backends.quantized.supported_engines
        return [engine for engine in found if engine != "none"]

    def load(
        self,
        path: Path,
        quantization: Quantization,
        preparation: Preparation,
    ) -> TorchNetwork:
        """Network of a bundle whose hash was checked before.

        Raises:
            UnsupportedNetworkError: no quantized engine fits, or this torch cannot load it.
        """
        engine = None
        if quantization.scheme not in {Scheme.FP32, Scheme.BF16}:
            engine = choose_engine(quantization.engine, self.engines())
        with _translated("load"), warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            if engine is not None:
                # Weights are packed for the engine that is set while they are loaded.
                torch.backends.quantized.engine = engine
            load: Callable[..., Any] = torch.jit.load
            module = load(str(path), map_location="cpu").eval()
            if preparation is not Preparation.AS_BUILT and hasattr(module, "training"):
                module = torch.jit.freeze(module)
            if preparation is Preparation.OPTIMIZED:
                module = torch.jit.optimize_for_inference(module)
        return TorchNetwork(module, engine)


def choose_engine(built_for: str | None, available: list[str]) -> str:
    """Engine to run a quantized bundle on: its own, else the nearest one of this box.

    Raises:
        UnsupportedNetworkError: this box has no quantized engine at all.
    """
    for engine in (built_for, *_NEAREST):
        if engine is not None and engine in available:
            return engine
    message = (
        f"no {built_for or 'quantized'} engine: this torch has "
        f"{', '.join(available) or 'no quantized engine'} on this CPU; use an FP32 variant"
    )
    raise UnsupportedNetworkError(message)


@contextmanager
def _translated(what: str) -> Iterator[None]:
    """Turn torch's RuntimeErrors, which carry their cause as text, into ours."""
    try:
        yield
    except NotImplementedError as error:
        raise UnsupportedNetworkError(_first_line(what, error)) from error
    except (RuntimeError, torch.jit.Error) as error:
        text = str(error)
        if any(sign in text for sign in _OUT_OF_MEMORY):
            raise MemoryError(_first_line(what, error)) from error
        if what == "load" or any(sign in text for sign in _MISSING):
            raise UnsupportedNetworkError(_first_line(what, error)) from error
        raise NetworkError(_first_line(what, error)) from error


def _first_line(what: str, error: Exception) -> str:
    """Torch's own sentence: the last line that names the error, without its trace."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    named = [line for line in lines if _NAMED_ERROR.match(line)]
    sentence = (named[-1] if named else lines[0] if lines else type(error).__name__)[:300]
    return f"torch {torch.__version__} cannot {what} it: {sentence}"
