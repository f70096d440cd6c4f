"""Files with a state dict: read whoever wrote them, written with how to feed the network."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from torch import Tensor, nn

from builder.errors import WeightsError, first_line
from contract.files import replacing
from contract.manifest import Preprocessing

#: Common wrappers around a state dict in training checkpoints.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
#: Heads that serve training alone; published files carry them, our networks do not.
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
#: Where torch keeps what modules note beside their tensors, and our note on the whole network.
_NOTES, _INPUT_NOTE = "_metadata", "edgewright_input"


@dataclass(frozen=True, kw_only=True)
class State:
    """What a file holds of a network."""

    tensors: dict[str, Tensor]
    #: How images became its input in training; None where the file does not say.
    input_rule: Preprocessing | None


def read_state(path: Path) -> State:
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
    tensors = {name: value for name, value in names.items() if not name.startswith(_AUXILIARY)}
    return State(tensors=tensors, input_rule=_input_rule(content, path))


def write_state(network: nn.Module, rule: Preprocessing, path: Path) -> None:
    """Write a network's state dict, which anyone can load, and how to feed the network.

    The rule stands among the notes that torch keeps with every state dict (`_metadata`), so it
    goes where the weights go, and their hash covers it.

    Raises:
        OSError: the file cannot be written; what was there stays.
    """
    state = network.state_dict()
    getattr(state, _NOTES)[""][_INPUT_NOTE] = msgspec.json.encode(rule).decode()
    # Through memory, because PyTorch ends the process when the disk under it fills up.
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as scratch:
        scratch.write_bytes(buffer.getbuffer())


def _is_torchscript(path: Path) -> bool:
    """Whether `path` is an archive with code in it, as torch.jit.save writes it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _input_rule(state: Mapping[str, Tensor], path: Path) -> Preprocessing | None:
    notes = getattr(state, _NOTES, {}).get("", {})
    if _INPUT_NOTE not in notes:
        return None
    try:
        return msgspec.json.decode(notes[_INPUT_NOTE], type=Preprocessing)
    except (msgspec.MsgspecError, TypeError) as error:
        message = f"{path}: what it says of the network's input is damaged: {error}; train again"
        raise WeightsError(message) from error
