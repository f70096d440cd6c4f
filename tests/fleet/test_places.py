"""Where the fleet keeps what is its own."""

from __future__ import annotations

from pathlib import Path

from fleet.places import default_authority, default_store_url


def test_the_store_and_the_authority_are_in_the_users_data_folder() -> None:
    environment = {"XDG_DATA_HOME": "/data"}
    assert default_store_url(environment) == "sqlite:////data/edgewright/fleet.db"
    assert default_authority(environment) == Path("/data/edgewright/authority")


def test_without_xdg_it_is_below_the_home() -> None:
    home = Path.home() / ".local/share/edgewright"
    assert default_store_url({}) == f"sqlite:///{home / 'fleet.db'}"
    assert default_authority({"XDG_DATA_HOME": ""}) == home / "authority"
