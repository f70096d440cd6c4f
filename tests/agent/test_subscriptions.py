"""What a device does where a broker loses a message, or does not let it subscribe."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.courier import Courier, Patience
from agent.journal import Journal
from agent.outbox import Outbox
from benchmarks.lib.nats_cluster import NatsServer
from contract.address import BrokerAddress, parse_broker_url
from contract.messages import Desired
from contract.topics import Leaf
from support.brokers import Mosquitto
from support.devices import eventually
from support.fleet_end import FleetEnd

_PUBLISH = 3
IMPATIENT = Patience(
    reconnect_first_s=0.01, reconnect_most_s=0.64, idle_s=0.05, reread_s=0.1, resend_first_s=0.3
)


class LossyRelay:
    """Between one device and its broker: hands everything on but the messages of one leaf.

    `lost` counts those; from `mends` on, they get through.
    """

    def __init__(self, broker: BrokerAddress, leaf: Leaf) -> None:
        self.lost = 0
        self.mends = threading.Event()
        self._leaf = f"/{leaf}".encode()
        self._broker = (broker.host, broker.port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = BrokerAddress("127.0.0.1", self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                device, _ = self._listener.accept()
                broker = socket.create_connection(self._broker)
                threading.Thread(target=_carry, args=(device, broker), daemon=True).start()
                threading.Thread(target=self._sift, args=(broker, device), daemon=True).start()

    def _sift(self, broker: socket.socket, device: socket.socket) -> None:
        with contextlib.suppress(OSError, IndexError), device, broker.makefile("rb") as stream:
            while True:
                packet, body = _packet(stream.read)
                topic = body[2 : 2 + int.from_bytes(body[:2])]
                is_meant = packet[0] >> 4 == _PUBLISH and topic.endswith(self._leaf)
                if is_meant and not self.mends.is_set():
                    self.lost += 1
                else:
                    device.sendall(packet + body)


def _packet(read: Callable[[int], bytes]) -> tuple[bytes, bytes]:
    """Fixed header and body of the next packet (MQTT 3.1.1, 2.2)."""
    header, length, shift = read(1), 0, 0
    while True:
        header += (one := read(1))
        length |= (one[0] & 0x7F) << shift
        shift += 7
        if not one[0] & 0x80:
            return header, read(length)


def _carry(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError), sink:
        while data := source.recv(65536):
            sink.sendall(data)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    journal = Journal(tmp_path / "agent.sqlite", limit_bytes=64_000_000)
    yield Outbox(journal, site="lab", device="box")
    journal.close()


@contextlib.contextmanager
def courier_to(broker: BrokerAddress, outbox: Outbox) -> Iterator[queue.SimpleQueue[Desired]]:
    """A running courier, and what it hears of desired states."""
    heard: queue.SimpleQueue[Desired] = queue.SimpleQueue()
    courier = Courier(
        broker, site="lab", device="box", boot_id="boot-1", outbox=outbox, patience=IMPATIENT
    )
    courier.start(on_desired=heard.put)
    try:
        yield heard
    finally:
        courier.stop()


def test_a_desired_state_that_was_lost_on_the_way_is_read_again(
    mosquitto: Mosquitto, fleet_end: FleetEnd, outbox: Outbox
) -> None:
    """On the same connection, without a word of the fleet."""
    with (
        contextlib.closing(LossyRelay(parse_broker_url(mosquitto.url), Leaf.DESIRED)) as relay,
        courier_to(relay.address, outbox) as heard,
    ):
        fleet_end.await_until("it is there", lambda: bool(fleet_end.states()))
        fleet_end.desire("tiny-base", "0" * 64, generation=7)
        assert eventually(lambda: relay.lost > 1)
        assert heard.empty()
        relay.mends.set()
        assert heard.get(timeout=60).generation == 7
        assert {state.connection for state in fleet_end.states()} == {1}


def test_a_device_that_may_not_subscribe_comes_back_later_each_time(
    tmp_path: Path, outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Let in every time: a broker with too much to do must not be asked ever so often."""
    caplog.set_level("INFO", logger="agent")
    permissions = 'permissions: { publish: "edgewright.>", subscribe: "nothing" }'
    server = NatsServer(
        "n1",
        tmp_path,
        more=f"accounts {{ LAB {{ jetstream: enabled, users: [{{ user: lab, password: lab, "
        f'{permissions} }}] }} }}\nno_auth_user: "lab"\n',
    )
    server.start([])
    try:
        with courier_to(BrokerAddress("127.0.0.1", server.mqtt_port), outbox):
            assert eventually(lambda: caplog.text.count("broker_away") >= 16)
    finally:
        server.kill()
    waits = [
        record.__dict__["fields"]["again_in_s"]
        for record in caplog.records
        if "not allowed" in str(record.__dict__.get("fields", {}).get("error"))
    ]
    # Each is drawn from the upper three quarters of a bound that doubles.
    assert waits[-1] >= IMPATIENT.reconnect_most_s / 4
    assert min(waits[6:]) > IMPATIENT.reconnect_first_s
