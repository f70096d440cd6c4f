"""Stems on disk: an interrupted build, or the next one, need not tune them again."""

from __future__ import annotations

import io
import logging
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch
from torch import nn

from builder.errors import BuilderError
from builder.pruning.method import Method
from builder.pruning.surgery import Cut, repeat
from contract.files import replacing
from contract.manifest import Pruning, Tuning

_log = logging.getLogger(__name__)

_PAPERS, _STATE = "papers", "state"


class Papers(msgspec.Struct, frozen=True, kw_only=True):
    """How a stem came about."""

    pruning: Pruning | None = None
    tuning: Tuning | None = None
    #: Filters that went, round by round.
    rounds: list[list[Cut]] = []
    #: Top-1 (share) of the stem in floats, where it was measured.
    top1: float | None = None


@dataclass(frozen=True, kw_only=True)
class Stem:
    """A network in floats, in evaluation mode, and how it came about."""

    network: nn.Module
    papers: Papers


class StemStore:
    """Stems of one network by the hash of what decides them."""

    def __init__(self, folder: Path, architecture: str) -> None:
        """Keep stems of `architecture` in `folder`, which is made when there is one."""
        self._folder = folder
        self._architecture = architecture

    def save(self, sha256: str, stem: Stem) -> None:
        """Keep a stem; the file appears whole or not at all.

        Raises:
            OSError: the disk is full or the folder cannot be written.
        """
        buffer = io.BytesIO()
        papers = msgspec.json.encode(stem.papers).decode()
        torch.save({_PAPERS: papers, _STATE: stem.network.state_dict()}, buffer)
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._path(sha256)) as scratch:
            scratch.write_bytes(buffer.getbuffer())

    def load(
        self,
        sha256: str,
        whole: Callable[[], nn.Module],
        *,
        input_size: int,
        method: Method,
    ) -> Stem | None:
        """Return the stem that was kept, cut anew from what `whole` makes; None without one.

        A file that cannot be used is left to be overwritten.
        """
        path = self._path(sha256)
        if not path.exists():
            return None
        try:
            kept = torch.load(path, map_location="cpu", weights_only=True)
            papers = msgspec.json.decode(kept[_PAPERS], type=Papers)
            network = whole()
            for cuts in papers.rounds:
                repeat(network, cuts, input_size=input_size, method=method)
            network.load_state_dict(kept[_STATE])
        except (
            OSError, RuntimeError, KeyError, ValueError, EOFError,
            pickle.UnpicklingError, msgspec.MsgspecError, BuilderError,
        ) as error:  # fmt: skip
            _log.warning("%s: cannot be used and is made anew: %s", path, error)
            return None
        return Stem(network=network.eval(), papers=papers)

    def _path(self, sha256: str) -> Path:
        return self._folder / f"{self._architecture}-{sha256[:16]}.pt"
