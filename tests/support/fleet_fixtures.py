"""Fixtures of the fleet's end: real stores and `serve` processes, devices on the real contract."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.store.database import Database, open_database
from support.collectors import ServeProcess
from support.devices import DeviceClient
from support.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One PostgreSQL server for all modules, started by the first that asks; each has databases.

    Making a cluster takes seconds. A module that kills its server has a `postgres` of its own.
    """
    with contextlib.closing(PostgresServer()) as server:
        yield server


@pytest.fixture
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of a store that does not exist yet.

    A file, unless a module asks for both kinds by `ON_BOTH`.
    """
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path / 'fleet.db'}"
        return
    with request.getfixturevalue("postgres").database() as url:
        yield url


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
        log = tmp_path / f"serve-{len(started)}.log"
        started.append(ServeProcess([*given, "--db", store_url], log))
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
