"""Real servers of the fleet's API."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec

from contract.address import BrokerAddress
from edgewright.http_limits import HttpLimits, LimitedServer
from fleet.api.app import make_app
from fleet.api.places import Places
from fleet.api.service import Service
from fleet.api.shelf import PolicyShelf
from fleet.api.watch import Watches
from fleet.store.database import Database
from fleet.store.tokens import Role, create_token
from support.brokers import free_port

_PATIENCE_S = 120


class ApiServer:
    """uvicorn in a thread of the test, and a client that it answers."""

    def __init__(
        self,
        database: Database,
        *,
        limits: HttpLimits | None = None,
        **changes: Any,  # noqa: ANN401 - any field
    ) -> None:
        """Start it on a store, open on loopback but for what `changes` says."""
        service = Service(
            database=database,
            shelf=PolicyShelf(None),
            broker=BrokerAddress("127.0.0.1", free_port()),
            authority=Path("/nonexistent"),
            is_closed=False,
            host_names=frozenset({"127.0.0.1"}),
            stale_after_s=3600.0,
            listeners=Places(3),
            watches=Watches(),
            checks=Places(1),
            is_stopping=lambda: self._server.should_exit,
            clock=time.time,
        )
        self.service = msgspec.structs.replace(service, **changes)
        self.database = database
        self.app = make_app(self.service)
        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = LimitedServer(
            self.app, listener, limits=limits or HttpLimits(), timeout_graceful_shutdown=2
        )
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        self.client = httpx.Client(base_url=self.url, timeout=_PATIENCE_S)

    def token(self, role: Role, *, days: int | None = None) -> dict[str, str]:
        """Header of a new token."""
        with self.database.writing() as connection:
            name = f"t{time.monotonic_ns()}"
            made = create_token(connection, name, role, days=days, now=time.time())
        return {"Authorization": f"Bearer {made}"}

    def get(self, path: str, **query: Any) -> Any:  # noqa: ANN401 - JSON
        """Document of a path that must be there."""
        answer = self.client.get(f"/api/v1{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def pages(self, path: str, **query: Any) -> list[list[Any]]:  # noqa: ANN401 - JSON
        """Items of every page of a listing, by following the links."""
        answer = self.client.get(f"/api/v1{path}", params=query)
        pages = []
        while True:
            assert answer.status_code == 200, answer.text
            pages.append(answer.json()["items"])
            if "next" not in answer.links:
                assert answer.json()["next"] is None
                return pages
            answer = self.client.get(answer.links["next"]["url"])

    def close(self) -> None:
        """End it."""
        self.client.close()
        self._server.should_exit = True
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive()


class ApiProcess:
    """A real `edgewright-fleet api`."""

    def __init__(self, arguments: list[str], log: Path, environment: dict[str, str]) -> None:
        """Start it and wait for its ready line."""
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fleet", "api", *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=os.environ | environment,
            )
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline()
        assert self.ready_line.startswith("ready "), log.read_text()
        self.url = self.ready_line.split("http=")[1].split()[0]

    def stop(self) -> int:
        """Send SIGTERM and wait for the end."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_PATIENCE_S)

    def close(self) -> None:
        """End it, however."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(_PATIENCE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()
