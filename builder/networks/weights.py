"""Where a network's weights come from: published, a file of the user's, or a seed."""

from __future__ import annotations

import enum
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from builder.errors import WeightsError, first_line
from builder.networks import vision
from builder.networks.architectures import Architecture
from builder.networks.download import download
from builder.networks.vision import PublishedWeights
from builder.progress import Progress
from contract.files import sha256_of

#: Common wrappers around a state dict in training checkpoints.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
#: Heads that serve training alone; published files carry them, our networks do not.
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")


class Origin(enum.StrEnum):
    """Where weights come from."""

    PUBLISHED = "published"
    FILE = "file"
    RANDOM = "random"


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Weights that were found for one architecture, not yet loaded."""

    architecture: Architecture
    origin: Origin
    path: Path | None
    #: SHA-256 of the file; None for random weights, which their seed names.
    sha256: str | None
    #: Set where these are torchvision's published weights, whichever way they came.
    published: PublishedWeights | None
    #: Width of the output that the file was made for; None where it can be chosen.
    classes: int | None

    @property
    def description(self) -> str:
        """Origin in words, for the manifest."""
        if self.published is not None:
            return f"published {self.published.name}"
        if self.path is not None:
            return f"file {self.path.name} sha256:{self.sha256}"
        return "random"

    def network(self, classes: int | None, seed: int) -> nn.Module:
        """Make the network with these weights, FP32, in evaluation mode.

        Args:
            classes: width of the output; None for the file's or the architecture's own.
            seed: what random weights are drawn from.

        Raises:
            WeightsError: the file does not fit the network.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.architecture.create(self.classes if classes is None else classes)
        if self.path is not None:
            _fill(network, read_state(self.path), self.path, self.architecture)
        if self.published is not None:
            vision.expect_published_input(network)
        return network

    def network_with_new_head(self, classes: int, seed: int) -> nn.Module:
        """Make the network as `network` does, with a random head where widths differ.

        For training on other classes than the weights were made for.
        """
        if self.path is None or self.classes == classes:
            return self.network(classes, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.architecture.create(classes)
        own = network.state_dict()
        state = read_state(self.path)
        state.update({name: own[name] for name in _head(self.architecture) if name in state})
        _fill(network, state, self.path, self.architecture)
        if self.published is not None:
            vision.expect_published_input(network)
        return network


def find_weights(choice: str, architecture: Architecture, progress: Progress) -> Weights:
    """Find the weights that `choice` names.

    Args:
        choice: `default` (published by torchvision, downloaded once), `none` (random), or a
            file with a state dict. A file that is torchvision's own is recognised by hash.
        architecture: what the weights are for.
        progress: told of a download.

    Raises:
        WeightsError: there are none published, or the file cannot be read or does not fit.
        DownloadError: published weights are not here and cannot be fetched.
    """
    if choice == "none":
        return Weights(
            architecture=architecture,
            origin=Origin.RANDOM,
            path=None,
            sha256=None,
            published=None,
            classes=None,
        )
    published = architecture.published
    if choice == "default":
        if published is None:
            message = (
                f"--weights default: nobody publishes weights for {architecture.name}; "
                "use --weights FILE or none"
            )
            raise WeightsError(message)
        path = download(
            published.url,
            Path(torch.hub.get_dir()) / "checkpoints" / published.file_name,
            sha256_prefix=published.sha256_prefix,
            progress=progress,
        )
    else:
        path = Path(choice)
    try:
        digest = sha256_of(path)
    except OSError as error:
        message = (
            f"--weights {choice}: {error.strerror}; expected 'default', 'none' or a readable "
            "file with a state dict"
        )
        raise WeightsError(message) from error
    official = published is not None and digest.startswith(published.sha256_prefix)
    if choice == "default" and published is not None and not official:
        message = (
            f"{path}: not the file that {published.url} names (its SHA-256 differs); delete it"
        )
        raise WeightsError(message)
    return Weights(
        architecture=architecture,
        origin=Origin.PUBLISHED if choice == "default" else Origin.FILE,
        path=path,
        sha256=digest,
        published=published if official else None,
        classes=_output_width(read_state(path), path, architecture),
    )


def read_state(path: Path) -> dict[str, Tensor]:
    """State dict in a file, bare or wrapped as checkpoints are; no code in it is run.

    Raises:
        WeightsError: not readable, or it holds something else.
    """
    expected = (
        "expected a state dict as 'edgewright-builder train' or "
        "torch.save(network.state_dict(), FILE) write it"
    )
    if _is_torchscript(path):
        message = f"{path}: is a bundle or another TorchScript file; {expected}"
        raise WeightsError(message)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Torch's own message recommends to switch this very protection off.
        message = f"{path}: holds something else than tensors, or is damaged; {expected}"
        raise WeightsError(message) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        message = f"{path}: cannot be read ({first_line(error)}); {expected}"
        raise WeightsError(message) from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(value, Tensor) for value in content.values())
    ):
        message = f"{path}: expected a state dict (names to tensors), got another object"
        raise WeightsError(message)
    names = {str(name).removeprefix("module."): value for name, value in content.items()}
    return {name: value for name, value in names.items() if not name.startswith(_AUXILIARY)}


def _is_torchscript(path: Path) -> bool:
    """Whether `path` is an archive with code in it, as torch.jit.save writes it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _head(architecture: Architecture) -> dict[str, Tensor]:
    """Tensors whose first dimension is the width of the output (on the meta device)."""
    if not architecture.resizable:
        return {}
    with torch.device("meta"):
        narrow = architecture.create(2).state_dict()
        wide = architecture.create(3).state_dict()
    return {name: wide[name] for name in wide if wide[name].shape != narrow[name].shape}


def _output_width(
    state: Mapping[str, Tensor], path: Path, architecture: Architecture
) -> int | None:
    head = _head(architecture)
    if not head:
        return None
    widths = {len(state[name]) for name in head if name in state and state[name].ndim}
    if len(widths) != 1:
        message = (
            f"{path}: not the weights of {architecture.name}: expected its output in "
            f"{', '.join(head)}; the file has {_sample(state)}"
        )
        raise WeightsError(message)
    width = widths.pop()
    with torch.device("meta"):
        _check_fit(architecture.create(width), state, path, architecture)
    return width


def _fill(
    network: nn.Module,
    state: Mapping[str, Tensor],
    path: Path,
    architecture: Architecture,
) -> None:
    _check_fit(network, state, path, architecture)
    network.load_state_dict(state, strict=False)


def _check_fit(
    network: nn.Module,
    state: Mapping[str, Tensor],
    path: Path,
    architecture: Architecture,
) -> None:
    own = network.state_dict()
    # Files from before torch 0.4.1 lack these counters, which inference does not use.
    needed = {name for name in own if not name.endswith("num_batches_tracked")}
    misshapen = [
        f"{name} {list(state[name].shape)} instead of {list(own[name].shape)}"
        for name in own.keys() & state.keys()
        if own[name].shape != state[name].shape
    ]
    findings = (
        ("missing", needed - state.keys()),
        ("unknown", state.keys() - own.keys()),
        ("shape", misshapen),
    )
    problems = [f"{what}: {_shortened(sorted(names))}" for what, names in findings if names]
    if problems:
        message = f"{path}: does not fit {architecture.name}: {'; '.join(problems)}"
        raise WeightsError(message)


def _shortened(names: list[str]) -> str:
    shown = 3
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if names[shown:] else "")


def _sample(state: Mapping[str, Tensor]) -> str:
    names = list(state)
    return ", ".join(names[:1] + names[-2:])
