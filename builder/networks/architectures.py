"""Networks by name: torchvision's, and `package.module:factory` for the user's own."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from builder.errors import ArchitectureError, typed_line
from builder.networks import vision
from builder.networks.vision import PublishedWeights

_SUGGESTIONS = 5
_COUNT_ARGUMENT = "num_classes"


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """One network that can be made with random weights."""

    #: First part of its variants' names.
    name: str
    family: str
    published: PublishedWeights | None
    #: SHA-256 of the user's source file; None for torchvision's, which its version names.
    source_sha256: str | None
    #: Whether the width of the output can be chosen.
    resizable: bool
    factory: Callable[..., nn.Module]

    def create(self, classes: int | None = None) -> nn.Module:
        """Make the network in evaluation mode; `classes` None keeps its own output width.

        Raises:
            ArchitectureError: the user's factory failed or gave no `nn.Module`.
        """
        arguments = {} if classes is None or not self.resizable else {_COUNT_ARGUMENT: classes}
        try:
            network = self.factory(**arguments)
        except (Exception, SystemExit) as error:
            # The factory is the user's code: it may raise anything, and even try to exit.
            message = f"{self.name}: its factory failed: {typed_line(error)}"
            raise ArchitectureError(message) from error
        if not isinstance(network, nn.Module):
            message = (
                f"{self.name}: its factory gave a {type(network).__name__}; expected an nn.Module"
            )
            raise ArchitectureError(message)
        return network.eval()


def resolve(spec: str, *, search_path: Path) -> Architecture:
    """Find the network that `spec` names.

    Args:
        spec: a torchvision classification network (`resnet18`), or `package.module:factory`,
            a callable that returns an `nn.Module`; it may take `num_classes`.
        search_path: folder from which the user's modules can be imported, besides the
            installed ones.

    Raises:
        ArchitectureError: no such network (with the nearest names), or its module cannot be
            imported.
    """
    if ":" in spec:
        return _resolve_own(spec, search_path)
    names = vision.network_names()
    name = spec.lower()
    if name not in names:
        near = difflib.get_close_matches(name.replace("-", "_"), names, _SUGGESTIONS, 0.5)
        hint = f"did you mean {', '.join(near)}?" if near else f"known are {', '.join(names)}."
        message = (
            f"architecture '{spec}' is not known: {hint} A network of your own is named "
            "package.module:factory"
        )
        raise ArchitectureError(message)
    return Architecture(
        name=name,
        family=vision.network_family(name),
        published=vision.published_weights(name),
        source_sha256=None,
        resizable=True,
        factory=vision.network_factory(name),
    )


def _resolve_own(spec: str, search_path: Path) -> Architecture:
    module_name, _, factory_name = spec.partition(":")
    if "/" in module_name or module_name.endswith(".py"):
        as_module = module_name.removesuffix(".py").removeprefix("./").replace("/", ".")
        message = (
            f"architecture '{spec}': expected a module, not a file: from the folder that holds "
            f"it, {as_module.strip('.')}:{factory_name}"
        )
        raise ArchitectureError(message)
    if str(search_path) not in sys.path:
        sys.path.insert(0, str(search_path))
    try:
        module = importlib.import_module(module_name)
        factory = getattr(module, factory_name)
        arguments = inspect.signature(factory).parameters
    except (Exception, SystemExit) as error:
        # Importing runs the user's code: it may raise anything, and even try to exit.
        message = (
            f"architecture '{spec}': {typed_line(error)}; expected package.module:factory, "
            f"importable from {search_path} or installed"
        )
        raise ArchitectureError(message) from error
    source = inspect.getsourcefile(module)
    return Architecture(
        name=_variant_name(factory_name),
        family=_variant_name(module_name.rpartition(".")[2]),
        published=None,
        source_sha256=source and hashlib.sha256(Path(source).read_bytes()).hexdigest(),
        resizable=_COUNT_ARGUMENT in arguments,
        factory=factory,
    )


def _variant_name(identifier: str) -> str:
    return re.sub(r"[^a-z0-9_.-]", "_", identifier.lower()).lstrip("_.-") or "network"
