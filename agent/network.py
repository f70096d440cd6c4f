"""What the rest of the agent knows of a network, whatever its file format."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from agent.protocol import Preparation
from contract.manifest import Quantization


class Network(Protocol):
    """A loaded network."""

    @property
    def engine(self) -> str | None:
        """Quantized engine that it runs on; None for plain floats."""

    def logits(self, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Logits [N, classes] of inputs [N, 3, H, W].

        Raises:
            NetworkError: the network fails on this input.
            UnsupportedNetworkError: an operator is missing on this box.
        """

    def repeating(
        self, images: npt.NDArray[np.float32]
    ) -> AbstractContextManager[Callable[[], object]]:
        """Within the block, what it gives does one forward pass of `images` at each call.

        For timing: nothing but the forward pass is done again, and the block translates errors.

        Raises:
            NetworkError: the network fails on this input.
            UnsupportedNetworkError: an operator is missing on this box.
        """


class Runtime(Protocol):
    """One file format's way to a network; making it may import a large library."""

    def engines(self) -> list[str]:
        """Quantized engines of this box."""

    def load(self, path: Path, quantization: Quantization, preparation: Preparation) -> Network:
        """Network of a bundle whose hash was checked before.

        Raises:
            UnsupportedNetworkError: this box or library cannot load it.
        """
