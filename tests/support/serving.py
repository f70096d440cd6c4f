"""A server in this process with its real worker processes, and clients of it."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import psutil
from PIL import Image

from agent.serving.choice import Chooser
from agent.serving.patience import Limits, Patience
from agent.serving.report import ServingReport
from agent.serving.server import Server
from contract.address import is_loopback
from support.processes import PATIENCE_S, wait_until


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.body)


@dataclass
class Serving:
    """A server at work."""

    address: str = ""
    failure: BaseException | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    listening: threading.Event = field(default_factory=threading.Event)
    #: Workers of other servers in this process.
    others: frozenset[int] = frozenset()

    @property
    def place(self) -> tuple[str, int]:
        url = urlsplit(self.address)
        return str(url.hostname), int(url.port or 0)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "image/png",
        **headers: str,
    ) -> Reply:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(*self.place, timeout=PATIENCE_S)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            if body is not None:
                named = {"Content-Type": kind} | named
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Reply(
                status=answer.status,
                headers={name.lower(): value for name, value in answer.getheaders()},
                body=answer.read(),
            )
        finally:
            connection.close()

    def predict(self, body: bytes, query: str = "", kind: str = "image/png") -> Reply:
        return self.ask("POST", f"/v1/predict{query}", body, kind)

    def health(self) -> Any:  # noqa: ANN401 - JSON
        return self.ask("GET", "/v1/health").json

    def wait_until_ready(self) -> None:
        wait_until("a variant is served", lambda: bool(self.health()["ready"]))

    def wait_for(self, variant: str) -> None:
        wait_until(f"{variant} is served", lambda: bool(self.health()["variant"] == variant))

    def in_flight(self) -> int:
        """Requests that wait for their answers, without this question itself."""
        text = self.ask("GET", "/metrics").body.decode()
        (line,) = (x for x in text.splitlines() if x.startswith("edgewright_requests_in_flight"))
        return int(line.split()[1]) - 1

    def workers(self) -> list[psutil.Process]:
        return [worker for worker in workers() if worker.pid not in self.others]

    def say(self, *pieces: bytes, hang_up: bool = False) -> bytes:
        """Everything that the server answers to these bytes, until it closes."""
        with socket.create_connection(self.place, timeout=PATIENCE_S) as line:
            for piece in pieces:
                line.sendall(piece)
            if hang_up:
                line.shutdown(socket.SHUT_WR)
            heard = b""
            while piece := line.recv(65536):
                heard += piece
            return heard


@contextmanager
def serving(
    chooser: Chooser,
    *,
    limits: Limits | None = None,
    patience: Patience | None = None,
    ready: bool = True,
    memory_limit_bytes: int | None = None,
    on_report: Callable[[ServingReport], None] | None = None,
    host: str = "127.0.0.1",
) -> Iterator[Serving]:
    """A server in a thread of its own, on a free port."""
    it = Serving(others=frozenset(worker.pid for worker in workers()))
    server = Server(
        chooser,
        host=host,
        port=0,
        allow_remote=not is_loopback(host),
        limits=limits,
        patience=patience,
        memory_limit_bytes=memory_limit_bytes,
    )

    def heard(address: str) -> None:
        it.address = address
        it.listening.set()

    def run() -> None:
        try:
            server.run(it.stop, on_listening=heard, on_report=on_report)
        except BaseException as error:  # noqa: BLE001 - told to the test below
            it.failure = error
        finally:
            it.listening.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert it.listening.wait(PATIENCE_S)
        if it.failure is None and ready:
            it.wait_until_ready()
        yield it
    finally:
        it.stop.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
    assert it.failure is None, it.failure


def workers(process: psutil.Process | None = None) -> list[psutil.Process]:
    """Worker processes of this process, or of another one."""
    found = []
    for child in (process or psutil.Process()).children():
        try:
            if "agent.worker" in child.cmdline():
                found.append(child)
        except psutil.Error:
            continue
    return found


def picture(width: int = 40, height: int = 30, *, kind: str = "PNG") -> bytes:
    """File of a picture of noise, the same at every call."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format=kind)
    return file.getvalue()
