"""The TorchScript format: networks to files and back; nothing else here knows of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from builder.errors import ExportError

#: Scales of quantized activations become constants of the trace, which they are.
_CONSTANT_SCALE = r"Converting a tensor to a Python (float|integer)"
_DEPRECATED = r"`torch\.jit\.\w+` is (deprecated|not supported in Python)"
_CHUNK_BYTES = 1 << 20


class ScriptedNetwork:
    """A network as its TorchScript file holds it."""

    def __init__(self, module: Any) -> None:  # noqa: ANN401 - torch.jit is untyped
        self._module = module

    @classmethod
    def traced(cls, network: nn.Module, example: Tensor) -> ScriptedNetwork:
        """Record what `network`, in evaluation mode, does with `example` [1, 3, H, W].

        The result is not frozen: whoever loads it chooses the optimisations for its processor.

        Raises:
            ExportError: the network cannot be traced.
        """
        with _deprecations_filtered(), torch.no_grad():
            warnings.filterwarnings("ignore", _CONSTANT_SCALE, module=r"torch\._ops")
            try:
                module = torch.jit.trace(network, example, check_trace=False)  # type: ignore[no-untyped-call]
                return cls(module)
            except Exception as error:
                # Tracing runs the network's own code: it may raise anything.
                message = f"torch.jit.trace: {type(error).__name__}: {error}"
                raise ExportError(message) from error

    @classmethod
    def load(cls, path: Path) -> ScriptedNetwork:
        """Load a file; the engine of quantized ones must be selected before.

        Raises:
            ExportError: not a TorchScript file, or damaged.
        """
        with _deprecations_filtered():
            try:
                module = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
                return cls(module)
            except (RuntimeError, ValueError) as error:
                message = f"{path}: cannot be loaded back: {error}"
                raise ExportError(message) from error

    def frozen(self, *, optimized: bool = False) -> ScriptedNetwork:
        """Inline the weights, and rewrite the graph for this processor where `optimized`.

        Raises:
            ExportError: torch.jit cannot do it with this network.
        """
        with _deprecations_filtered():
            try:
                module = self._module.eval()
                # What was frozen before has lost the flag, and cannot be frozen again.
                if hasattr(module, "training"):
                    module = torch.jit.freeze(module)
                if optimized:
                    module = torch.jit.optimize_for_inference(module)
            except RuntimeError as error:
                message = f"torch.jit cannot prepare the network: {error}"
                raise ExportError(message) from error
        return ScriptedNetwork(module)

    def logits(self, inputs: Tensor) -> Tensor:
        """Logits [N, classes] of inputs [N, 3, H, W].

        Raises:
            ExportError: the recorded network does not take such inputs.
        """
        try:
            with torch.inference_mode():
                logits: Tensor = self._module(inputs)
        except RuntimeError as error:
            message = f"the exported network fails on {list(inputs.shape)}: {error}"
            raise ExportError(message) from error
        return logits

    def save(
        self,
        path: Path,
        *,
        name: str,
        extra_files: Mapping[str, bytes],
        at_least_bytes: int,
    ) -> None:
        """Write the network and its extra files over the file at `path`.

        PyTorch ends the whole process when the disk under its zip writer fills up. So space
        for `at_least_bytes` is claimed first, and PyTorch writes to memory, from where the
        bytes go to disk by calls that fail like any other.

        Inside the zip everything stands in a folder called `name`.

        Raises:
            OSError: no space left, or the file cannot be written.
        """
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, at_least_bytes))
            file.truncate(0)
            with (
                os.fdopen(os.memfd_create(name), "rb") as memory,
                tempfile.TemporaryDirectory() as folder,
                _deprecations_filtered(),
            ):
                link = Path(folder) / f"{name}.pt"
                link.symlink_to(f"/proc/{os.getpid()}/fd/{memory.fileno()}")
                torch.jit.save(self._module, str(link), _extra_files=dict(extra_files))
                shutil.copyfileobj(memory, file, _CHUNK_BYTES)


@contextlib.contextmanager
def _deprecations_filtered() -> Iterator[None]:
    """Keep quiet about the end of torch.jit; the ADR on formats has the way out."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=_DEPRECATED, category=DeprecationWarning)
        yield
