"""Brokers that ask for an account, and clients that try what they may and may not."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import paho.mqtt.client as mqtt

from benchmarks.lib.nats_cluster import nats_server_program
from contract.access import client_id_of, client_name_of
from contract.address import BrokerAddress
from contract.topics import Leaf, topic_for
from fleet.authority.authority import Authority
from fleet.authority.rules import FLEET
from fleet.broker.doorkeeper import Doorkeeper
from fleet.broker.embedded import EmbeddedBroker
from support.brokers import Mosquitto, free_port
from support.commands import run_fleet
from support.devices import PATIENCE_S, eventually

SITE = "lab"


class Guarded(Protocol):
    """A broker with TLS and the accounts of an authority."""

    authority: Authority
    address: BrokerAddress

    def take_up(self) -> None:
        """See to it that changed accounts hold; the broker may need a moment."""


class GuardedEmbedded:
    """The broker that `serve` brings along."""

    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self._broker = EmbeddedBroker(
            BrokerAddress("127.0.0.1", 0, tls=True), Doorkeeper(self.authority)
        )

    @contextlib.contextmanager
    def running(self) -> Iterator[GuardedEmbedded]:
        with self._broker:
            self.address = self._broker.address
            yield self

    def take_up(self) -> None:
        """Nothing to do: it looks by itself."""


class GuardedMosquitto:
    """Mosquitto with what `broker-config` wrote."""

    def __init__(self, authority: Authority, folder: Path, program: str) -> None:
        self.authority = authority
        self.address = BrokerAddress("127.0.0.1", free_port(), tls=True)
        self._folder = folder
        self._mosquitto = Mosquitto(program, folder, port=self.address.port)

    @contextlib.contextmanager
    def running(self) -> Iterator[GuardedMosquitto]:
        self._write()
        self._mosquitto.start(self._folder / "mosquitto.conf")
        try:
            yield self
        finally:
            self._mosquitto.stop()

    def take_up(self) -> None:
        run_fleet("broker-config", "--out", self._folder)
        self.send_hangup()

    def send_hangup(self) -> None:
        """Let it read its files again, as they are."""
        assert self._mosquitto.process is not None
        self._mosquitto.process.send_signal(signal.SIGHUP)

    def _write(self) -> None:
        run_fleet(
            "broker-config", "--out", self._folder,
            "--listen", f"{self.address.host}:{self.address.port}",
            "--authority", self.authority.folder,
        )  # fmt: skip
        if os.geteuid() == 0:
            # Else it would become a user that may not look into the folder of these tests.
            with (self._folder / "mosquitto.conf").open("a") as config:
                config.write("user root\n")


class GuardedNats:
    """A NATS server with what `broker-config --kind nats` wrote; devices use its gateway."""

    def __init__(self, authority: Authority, folder: Path, name: str = "n1") -> None:
        self.authority = authority
        self.address = BrokerAddress("127.0.0.1", free_port(), tls=True)
        self.nats_port, self.route_port = free_port(), free_port()
        #: Ports of all servers of its cluster; none where it is alone.
        self.routes: list[int] = []
        self.process: subprocess.Popen[bytes] | None = None
        self._name, self._folder = name, folder

    @property
    def nats_url(self) -> str:
        """What `--jetstream` takes."""
        return f"tls://127.0.0.1:{self.nats_port}"

    @contextlib.contextmanager
    def running(self) -> Iterator[GuardedNats]:
        self.start()
        try:
            self.await_ready()
            yield self
        finally:
            self.stop()

    def start(self) -> None:
        self._write()
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [nats_server_program(), "-c", str(self._folder / "nats.conf")],
                stdout=log,
                stderr=log,
            )

    def await_ready(self) -> None:
        """Until its gateway has its own streams and lets the fleet in."""
        assert eventually(self._lets_the_fleet_in), self._log.read_text()

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)

    def take_up(self) -> None:
        run_fleet("broker-config", "--out", self._folder)
        self.send_hangup()

    def send_hangup(self) -> None:
        """Let it read its files again, as they are."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    @property
    def _log(self) -> Path:
        return self._folder / "nats.log"

    def _lets_the_fleet_in(self) -> bool:
        access = self.authority.fleet_access
        try:
            client = Client(
                self.address, access.ca_file, username=FLEET, password=access.password()
            )
        except OSError:
            return False
        client.close()
        return client.is_in

    def _write(self) -> None:
        routes = [word for port in self.routes for word in ("--route", f"127.0.0.1:{port}")]
        run_fleet(
            "broker-config", "--kind", "nats", "--out", self._folder, "--server-name", self._name,
            "--listen", f"{self.address.host}:{self.address.port}",
            "--nats-listen", f"127.0.0.1:{self.nats_port}",
            "--cluster-listen", f"127.0.0.1:{self.route_port}", *routes,
            "--store-dir", self._folder / "store",
            "--authority", self.authority.folder,
        )  # fmt: skip


@contextlib.contextmanager
def guarded_cluster(authority: Authority, folder: Path) -> Iterator[list[GuardedNats]]:
    """Three servers that prove themselves to each other, too."""
    servers = [GuardedNats(authority, folder / name, name) for name in ("n1", "n2", "n3")]
    try:
        for server in servers:
            server.routes = [one.route_port for one in servers]
            server.start()
        for server in servers:
            server.await_ready()
        yield servers
    finally:
        for server in servers:
            server.stop()


@contextlib.contextmanager
def guarded_broker(kind: str, folder: Path, mosquitto_program: str) -> Iterator[Guarded]:
    """A broker with TLS and accounts: `embedded`, `mosquitto` or `nats`."""
    authority = Authority.open(folder / "authority")
    if kind == "embedded":
        with GuardedEmbedded(authority).running() as embedded:
            yield embedded
    elif kind == "nats":
        with GuardedNats(authority, folder / "etc").running() as nats:
            yield nats
    else:
        with GuardedMosquitto(authority, folder / "etc", mosquitto_program).running() as mosquitto:
            yield mosquitto


class Client:
    """One connection attempt; `reason` says how the broker answered."""

    def __init__(
        self,
        address: BrokerAddress,
        ca_file: Path | None,
        *,
        username: str | None = None,
        password: str | None = None,
        client_id: str | None = None,
        will: tuple[str, bytes] | None = None,
    ) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.reason: str | None = None
        #: How often the connection was lost.
        self.losses = 0
        self._answered, self._subscribed = threading.Event(), threading.Event()
        self._granted: list[bool] = []
        self._last: mqtt.MQTTMessageInfo | None = None
        self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2,
            client_id=client_id or f"try-{uuid.uuid4().hex}",
            reconnect_on_failure=False,
        )
        if ca_file is not None:
            self._client.tls_set_context(ssl.create_default_context(cafile=ca_file))
        if username is not None:
            self._client.username_pw_set(username, password)
        if will is not None:
            self._client.will_set(*will, qos=1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._lost
        self._client.on_subscribe = self._granting
        self._client.on_message = lambda _c, _u, m: self.heard.append((m.topic, bytes(m.payload)))
        self._client.connect(address.host, address.port)
        self._client.loop_start()
        assert self._answered.wait(PATIENCE_S), "no answer and no end of the connection"

    @property
    def is_in(self) -> bool:
        return self.reason == "Success"

    def subscribe(self, *filters: str) -> list[bool]:
        """Whether the broker granted each filter."""
        self._subscribed.clear()
        self._client.subscribe([(one, 1) for one in filters])
        assert self._subscribed.wait(PATIENCE_S)
        return self._granted

    def attempt_to_subscribe(self, topic_filter: str) -> bool | None:
        """Whether the broker granted it; None where it ended the connection instead."""
        self._subscribed.clear()
        self._client.subscribe(topic_filter, 1)
        assert eventually(lambda: self._subscribed.is_set() or self.losses > 0)
        return self._granted[0] if self._subscribed.is_set() else None

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        self._last = self._client.publish(topic, payload, 1, retain=retain)

    def is_answered(self) -> bool:
        """Whether the broker acknowledged what was published last; it need not have taken it."""
        return self._last is not None and self._last.is_published()

    def has_heard(self, payload: bytes) -> bool:
        return any(heard == payload for _, heard in list(self.heard))

    def vanish(self) -> None:
        """Drop the connection without a farewell."""
        self._client.loop_stop()
        socket = self._client.socket()
        if socket is not None:
            socket.close()

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, _c: object, _u: object, _f: object, reason: object, _p: object) -> None:
        self.reason = str(reason)
        self._answered.set()

    def _lost(self, *_: object) -> None:
        self.losses += 1
        self._answered.set()

    def _granting(
        self, _c: object, _u: object, _m: object, reasons: list[mqtt.ReasonCode], _p: object
    ) -> None:
        self._granted = [not reason.is_failure for reason in reasons]
        self._subscribed.set()


class Cast:
    """A broker and those who act on it; everybody leaves in the end."""

    def __init__(self, guarded: Guarded) -> None:
        self.guarded = guarded
        self._passwords: dict[str, str] = {}
        self._clients: list[Client] = []
        self._by_id: dict[str, Client] = {}

    def enroll(self, device: str) -> str:
        """A device's password, new at every call."""
        password = self.guarded.authority.enroll(SITE, device).password
        self._passwords[device] = password
        self.guarded.take_up()
        return password

    def device(
        self, device: str, *, client_id: str | None = None, will: tuple[str, bytes] | None = None
    ) -> Client:
        """A client with a device's credentials, by default with its usual id.

        The one before with this id leaves first: a gateway of NATS holds off who takes over an
        id twice within seconds.
        """
        password = self._passwords[device]
        chosen = client_id or client_id_of(client_name_of(SITE, device), password)
        before = self._by_id.pop(chosen, None)
        if before is not None:
            before.close()
        client = self._by_id[chosen] = self.attempt(
            username=f"{SITE}/{device}", password=password, client_id=chosen, will=will
        )
        return client

    def fleet(self) -> Client:
        """A client with the fleet's own account."""
        access = self.guarded.authority.fleet_access
        return self.attempt(username=FLEET, password=access.password())

    def attempt(self, **claims: object) -> Client:
        """A client that trusts the right authority and claims what it is told to."""
        client = Client(self.guarded.address, self.guarded.authority.ca_file, **claims)  # type: ignore[arg-type]
        self._clients.append(client)
        return client

    def close(self) -> None:
        for client in self._clients:
            client.close()


def own(device: str, leaf: Leaf | str) -> str:
    return topic_for(SITE, device, Leaf(leaf))


def fence(sender: Client, topic: str, hearer: Client) -> None:
    """Wait until what `sender` sent before has been dealt with: `hearer` hears what comes after."""
    mark = f"fence-{uuid.uuid4().hex}".encode()
    sender.publish(topic, mark)
    assert eventually(lambda: hearer.has_heard(mark)), f"{topic} did not get through"
