"""Real stores and `serve` processes, and devices that speak the real contract."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.database import Database, open_database
from support.collectors import ServeProcess
from support.devices import DeviceClient


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    """URL of a store that does not exist yet."""
    return f"sqlite:///{tmp_path / 'fleet.db'}"


@pytest.fixture
def database(store_url: str) -> Iterator[Database]:
    """An open, empty store."""
    with contextlib.closing(open_database(store_url, create=True)) as opened:
        yield opened


@pytest.fixture
def start_serve(tmp_path: Path, store_url: str) -> Iterator[Callable[..., ServeProcess]]:
    """Start `serve` on this test's store; every process is ended afterwards."""
    started: list[ServeProcess] = []

    def start(*arguments: str) -> ServeProcess:
        given = list(arguments) or ["--listen", "127.0.0.1:0"]
        started.append(ServeProcess([*given, "--db", store_url], tmp_path / "serve.log"))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., DeviceClient]]:
    """Connect a device; every client is disconnected afterwards."""
    connected: list[DeviceClient] = []

    def open_client(url: str, site: str = "lab", device: str = "box") -> DeviceClient:
        connected.append(DeviceClient(url, site, device))
        return connected[-1]

    yield open_client
    for one in connected:
        one.close()
