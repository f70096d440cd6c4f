"""A real agent with a collector beside it, seen from outside through `/proc`."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from builder.errors import BuilderError
from contract.address import BrokerAddress, parse_broker_url
from contract.topics import Leaf, topic_for

SITE, DEVICE = "benchmark", "box"
_PATIENCE_S = 300.0
_LOOK_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a process has used so far, all of its threads together."""

    cpu_seconds: float
    #: The scheduler's own account, in nanoseconds where it keeps one.
    exact_cpu_seconds: float | None
    switches: int


@dataclass(frozen=True, kw_only=True)
class Agent:
    """A running agent."""

    process: subprocess.Popen[bytes]
    log: Path
    #: Monotonic seconds just before it was started.
    started_at: float

    @property
    def proc(self) -> Path:
        """What the kernel tells of it."""
        return Path(f"/proc/{self.process.pid}")

    def has_children(self) -> bool:
        """Whether workers run."""
        return any((task / "children").read_text().strip() for task in self.tasks())

    def tasks(self) -> list[Path]:
        """Folders of its threads."""
        return sorted((self.proc / "task").iterdir())

    def usage(self) -> Usage:
        """What it has used so far."""
        # The name in brackets may hold spaces; utime and stime are fields 14 and 15.
        fields = (self.proc / "stat").read_text().rpartition(")")[2].split()
        ticks = int(fields[11]) + int(fields[12])
        exact = [_exact_seconds(task) for task in self.tasks()]
        return Usage(
            cpu_seconds=ticks / os.sysconf("SC_CLK_TCK"),
            exact_cpu_seconds=None if None in exact else sum(one or 0.0 for one in exact),
            switches=sum(_counts(task / "status", "ctxt_switches") for task in self.tasks()),
        )

    def bytes_of(self, file: str, key: str) -> int | None:
        """Bytes that a file in `/proc/PID` states in kB, or None where it does not."""
        try:
            found = re.search(rf"^{key}:\s+(\d+) kB$", (self.proc / file).read_text(), re.MULTILINE)
        except OSError:
            return None
        return None if found is None else int(found[1]) * 1024

    def await_log(self, what: str, text: str) -> None:
        """Wait until its log says something.

        Raises:
            BuilderError: it ended, or did not say it in time.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while text not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                message = f"the agent did not get so far that {what}: {self.log.read_text()[-500:]}"
                raise BuilderError(message)
            time.sleep(_LOOK_S)


@contextmanager
def collector(scratch: Path) -> Iterator[BrokerAddress]:
    """A collector with its own broker; yields where it listens.

    Raises:
        BuilderError: it did not become ready.
    """
    store = f"sqlite:///{scratch / 'fleet.db'}"
    words = [sys.executable, "-m", "fleet", "serve", "--listen", "127.0.0.1:0", "--db", store]
    with (scratch / "fleet.log").open("wb") as log:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True)
    with process:
        try:
            assert process.stdout is not None  # noqa: S101 - we asked for the pipe
            found = re.search(r"broker=(\S+)", process.stdout.readline())
            if found is None:
                message = f"the collector did not start: {(scratch / 'fleet.log').read_text()}"
                raise BuilderError(message)
            yield parse_broker_url(found[1])
        finally:
            process.terminate()


@contextmanager
def running(scratch: Path, bundles: Path, broker: BrokerAddress, **more: str) -> Iterator[Agent]:
    """An agent whose state is in `scratch`; ended by SIGTERM."""
    config = scratch / "agent.toml"
    config.write_text(
        f'site = "{SITE}"\ndevice = "{DEVICE}"\nbroker = "{broker}"\n'
        f'bundles = "{bundles.resolve()}"\nstate_dir = "state"\nmin_seconds = 0.1\n'
    )
    words = [sys.executable, "-P", "-m", "agent", "run", "--config", str(config)]
    path = scratch / "agent.log"
    with path.open("wb") as log:
        started_at = time.monotonic()
        process = subprocess.Popen(words, stdout=log, stderr=log, env=os.environ | more)
    try:
        yield Agent(process=process, log=path, started_at=started_at)
    finally:
        process.terminate()
        process.wait()


def start_seconds(
    scratch: Path, bundles: Path, broker: BrokerAddress, *, is_there: bool
) -> tuple[float, float | None]:
    """Start an agent; seconds until it says READY=1, and until its inventory was received.

    The second is None where `is_there` says that there is no broker.

    Raises:
        BuilderError: it ended, or did not get there in time.
    """
    with ExitStack() as stack:
        line = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        place = scratch / "notify"
        place.unlink(missing_ok=True)
        line.bind(str(place))
        line.settimeout(_PATIENCE_S)
        arrivals: list[float] = []
        if is_there:
            stack.enter_context(_listening(broker, arrivals))
        agent = stack.enter_context(running(scratch, bundles, broker, NOTIFY_SOCKET=str(place)))
        try:
            while line.recv(4096) != b"READY=1":
                pass
        except TimeoutError as error:
            message = f"the agent did not become ready: {agent.log.read_text()[-500:]}"
            raise BuilderError(message) from error
        ready_s = time.monotonic() - agent.started_at
        if not is_there:
            return ready_s, None
        agent.await_log("it reached the broker", "event=broker_connected")
        deadline = time.monotonic() + _PATIENCE_S
        while not arrivals and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        if not arrivals:
            message = "the agent's inventory did not arrive"
            raise BuilderError(message)
        return ready_s, arrivals[0] - agent.started_at


@contextmanager
def _listening(broker: BrokerAddress, arrivals: list[float]) -> Iterator[None]:
    """Note when live inventories arrive."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2)

    def received(_client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        if not message.retain:
            arrivals.append(time.monotonic())

    client.on_message = received
    topic = topic_for(SITE, DEVICE, Leaf.INVENTORY)
    client.on_connect = lambda c, *_: c.subscribe(topic, 1)
    ready: list[bool] = []
    client.on_subscribe = lambda *_: ready.append(True)
    client.connect(broker.host, broker.port)
    client.loop_start()
    try:
        deadline = time.monotonic() + _PATIENCE_S
        while not ready and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        yield
    finally:
        client.disconnect()
        client.loop_stop()


def _exact_seconds(task: Path) -> float | None:
    try:
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return None


def _counts(file: Path, name: str) -> int:
    """Sum of the lines of a status file whose key ends with `name`."""
    return sum(int(value) for value in re.findall(rf"{name}:\s+(\d+)", file.read_text()))
