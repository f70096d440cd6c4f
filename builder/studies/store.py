"""Studies on disk: which file holds which, and in what form."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from builder.studies.damage import LayerDamage, NetworkDamage
from builder.studies.sensitivity import Sensitivity
from contract.files import replacing

Study = TypeVar("Study")

_log = logging.getLogger(__name__)

#: Sensitivities are `NAME.json`, quantization damages `NAME-quantization.json`.
_SUFFIX = ".json"
_DAMAGE_SUFFIX = f"-quantization{_SUFFIX}"


class Studies(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was found out about the networks of a set."""

    sensitivities: list[Sensitivity] = []
    damages: list[NetworkDamage] = []


class StudyStore:
    """The studies of one bundle set's networks."""

    def __init__(self, folder: Path) -> None:
        """Keep studies in `folder`, which is made when there is one."""
        self._folder = folder

    def keep_sensitivity(self, name: str, study: Sensitivity) -> None:
        """Keep what a network's layers can spare.

        Raises:
            OSError: the folder cannot be written.
        """
        self._write(f"{name}{_SUFFIX}", study)

    def sensitivity(self, name: str) -> Sensitivity | None:
        """What was kept under that name; None without it, or where it cannot be read."""
        path = self._folder / f"{name}{_SUFFIX}"
        return _read_sensitivity(path) if path.exists() else None

    def keep_damages(self, variant: str, damages: Sequence[LayerDamage]) -> None:
        """Keep what quantizing each layer of a variant does.

        Raises:
            OSError: the folder cannot be written.
        """
        self._write(f"{variant}{_DAMAGE_SUFFIX}", damages)

    def everything(self) -> Studies:
        """All that is kept; what cannot be read is logged and left out."""
        paths = sorted(self._folder.glob(f"*{_SUFFIX}"))
        of_damage = [path for path in paths if path.name.endswith(_DAMAGE_SUFFIX)]
        sensitivities = [_read_sensitivity(path) for path in paths if path not in of_damage]
        damages = [_read_damage(path) for path in of_damage]
        return Studies(
            sensitivities=[study for study in sensitivities if study is not None],
            damages=[study for study in damages if study is not None],
        )

    def _write(self, file: str, study: object) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._folder / file) as scratch:
            scratch.write_bytes(msgspec.json.format(msgspec.json.encode(study), indent=2))


def _read_sensitivity(path: Path) -> Sensitivity | None:
    return _read(path, Sensitivity)


def _read_damage(path: Path) -> NetworkDamage | None:
    layers = _read(path, list[LayerDamage])
    if layers is None:
        return None
    return NetworkDamage(network=path.name.removesuffix(_DAMAGE_SUFFIX), layers=layers)


def _read(path: Path, kind: type[Study]) -> Study | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        _log.warning("%s: cannot be used: %s", path, error)
        return None
