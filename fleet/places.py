"""Where the fleet keeps what is its own, unless it is told: in the user's data folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def default_store_url(environment: Mapping[str, str]) -> str:
    """URL of the store: `fleet.db`."""
    return f"sqlite:///{_data_folder(environment) / 'fleet.db'}"


def default_authority(environment: Mapping[str, str]) -> Path:
    """Folder of certificates and accounts: `authority`."""
    return _data_folder(environment) / "authority"


def _data_folder(environment: Mapping[str, str]) -> Path:
    home = environment.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "edgewright"
