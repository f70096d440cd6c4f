"""A contender: one network, ready to run on one thread."""

from __future__ import annotations

import enum
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contract.manifest import Preprocessing, Scheme

#: Network inputs and logits: float32 [N, 3, H, W] and [N, classes].
Floats = npt.NDArray[np.float32]


class Framework(enum.StrEnum):
    """Whose code runs the network."""

    EDGEWRIGHT = "edgewright"
    ONNX_RUNTIME = "onnxruntime"
    OPENVINO = "openvino"


#: Packages that each needs beyond those of builder and agent.
_PACKAGES = {
    Framework.EDGEWRIGHT: (),
    Framework.ONNX_RUNTIME: ("onnx", "onnxruntime"),
    Framework.OPENVINO: ("openvino", "nncf"),
}


@dataclass(frozen=True, kw_only=True)
class Contender:
    """A network that was prepared by one framework."""

    name: str
    framework: Framework
    scheme: Scheme
    rule: Preprocessing
    macs: int
    #: On disk.
    bytes: int
    #: From the network in floats to the file; None where it was found finished.
    build_s: float | None
    #: Logits [1, classes] of one input [1, 3, H, W].
    logits: Callable[[Floats], Floats]


def missing_packages(framework: Framework) -> list[str]:
    """Packages that `framework` needs and that are not installed."""
    return [name for name in _PACKAGES[framework] if importlib.util.find_spec(name) is None]


def split_installed(
    frameworks: Iterable[Framework],
) -> tuple[list[Framework], dict[Framework, str]]:
    """Frameworks that can run here, and the reason for each of the others."""
    installed, left_out = [], {}
    for framework in frameworks:
        missing = missing_packages(framework)
        if missing:
            left_out[framework] = f"not installed: {', '.join(missing)}"
        else:
            installed.append(framework)
    return installed, left_out
