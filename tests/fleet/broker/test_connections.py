"""How many clients the embedded broker takes, and that each gets its turn."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from contract.address import BrokerAddress
from edgewright.rate_limit import BURST
from fleet.authority.authority import Authority
from fleet.broker.client_connection import TAKEN_AT_ONCE, ClientConnection
from fleet.broker.doorkeeper import Doorkeeper
from fleet.broker.embedded import MOST_OF_DEVICE, EmbeddedBroker
from fleet.broker.packets import Packet
from support.accounts import Client
from support.devices import PATIENCE_S, eventually

MOST = 8
FLOOD = 40_000
DISCONNECT = b"\xe0\x00"
#: Of a CONNECT of 256 MiB.
HUGE_HEAD = b"\x10\xff\xff\xff\x7f"
PINGREQ, PINGRESP = b"\xc0\x00", b"\xd0\x00"


class Line:
    """A plain connection; `say_hello` lets it in."""

    def __init__(self, address: BrokerAddress) -> None:
        self.socket = socket.create_connection((address.host, address.port), timeout=PATIENCE_S)

    def say_hello(self, client_id: str, *credentials: str) -> bool:
        """Whether the broker lets it in; `credentials` are account and password, or none."""
        flags = b"\xc2" if credentials else b"\x02"
        fields = [text.encode() for text in (client_id, *credentials)]
        variable = b"\x00\x04MQTT\x04" + flags + b"\x00\x3c"
        variable += b"".join(len(one).to_bytes(2, "big") + one for one in fields)
        assert len(variable) < 128
        try:
            self.socket.sendall(b"\x10" + bytes([len(variable)]) + variable)
            return self.socket.recv(4) == b"\x20\x02\x00\x00"
        except OSError:
            return False

    def is_served(self) -> bool:
        try:
            self.socket.sendall(PINGREQ)
            return self.socket.recv(2) == PINGRESP
        except OSError:
            return False

    def is_ended(self) -> bool:
        """Whether the broker has hung up."""
        self.socket.settimeout(0.01)
        try:
            return self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except OSError:
            return True
        finally:
            self.socket.settimeout(PATIENCE_S)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(BrokerAddress("127.0.0.1", 0), most_clients=MOST) as running:
        yield running


@pytest.fixture
def call(broker: EmbeddedBroker) -> Iterator[Callable[[], Line]]:
    with contextlib.ExitStack() as stack:

        def connect() -> Line:
            line = Line(broker.address)
            stack.callback(line.socket.close)
            return line

        yield connect


def test_strangers_who_say_nothing_keep_nobody_out(call: Callable[[], Line]) -> None:
    clients = [call() for _ in range(MOST - 1)]
    assert all(one.say_hello(f"c-{number}") for number, one in enumerate(clients))
    strangers = [call() for _ in range(3 * MOST)]
    assert eventually(lambda: sum(one.is_ended() for one in strangers) >= 3 * MOST - 1)
    late = call()
    assert late.say_hello("late")
    assert all(one.is_served() for one in [*clients, late])


def test_one_client_too_many_is_refused_and_the_others_are_served(
    call: Callable[[], Line], caplog: pytest.LogCaptureFixture
) -> None:
    clients = [call() for _ in range(MOST)]
    assert all(one.say_hello(f"c-{number}") for number, one in enumerate(clients))
    for number in range(3):
        assert not call().say_hello(f"more-{number}")
    assert all(one.is_served() for one in clients)
    told = {one.getMessage() for one in caplog.records if "refused" in one.getMessage()}
    assert told == {f"connections refused at_most={MOST}"}
    clients[0].socket.close()
    assert eventually(lambda: call().say_hello("next"))


def test_strangers_who_begin_with_too_large_a_packet_do_not_fill_the_log(
    call: Callable[[], Line], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3 * BURST):
        line = call()
        line.socket.sendall(HUGE_HEAD)
        assert eventually(line.is_ended)
    assert 1 <= len(caplog.records) <= BURST


def test_strangers_who_begin_no_handshake_keep_no_device_out(tmp_path: Path) -> None:
    """They are counted before TLS, which they could otherwise hold for ever."""
    authority = Authority.open(tmp_path / "authority")
    password = authority.enroll("lab", "box").password
    listen = BrokerAddress("127.0.0.1", 0, tls=True)
    with (
        EmbeddedBroker(listen, Doorkeeper(authority), most_clients=MOST) as running,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(3 * MOST):
            stack.callback(Line(running.address).socket.close)
        device = Client(
            running.address, authority.ca_file, username="lab/box", password=password,
            client_id="edgewright:lab:box",
        )  # fmt: skip
        stack.callback(device.close)
        assert device.is_in


def test_one_devices_password_takes_nobody_elses_place(tmp_path: Path) -> None:
    authority = Authority.open(tmp_path / "authority")
    passwords = {name: authority.enroll("lab", name).password for name in ("bad", "good")}
    listen = BrokerAddress("127.0.0.1", 0, tls=True)
    with (
        EmbeddedBroker(listen, Doorkeeper(authority), most_clients=2 * MOST_OF_DEVICE) as running,
        contextlib.ExitStack() as stack,
    ):

        def connect(device: str, number: int) -> Client:
            client = Client(
                running.address, authority.ca_file, username=f"lab/{device}",
                password=passwords[device], client_id=f"edgewright:lab:{device}:{number}",
            )  # fmt: skip
            stack.callback(client.close)
            return client

        bad = [connect("bad", number) for number in range(MOST_OF_DEVICE + 5)]
        assert sum(one.is_in for one in bad) == MOST_OF_DEVICE
        assert {one.reason for one in bad if not one.is_in} == {"Server unavailable"}
        assert connect("good", 1).is_in
        for one in bad:
            one.close()
        assert eventually(lambda: connect("bad", 99).is_in)


def test_a_farewell_without_an_end_keeps_nobody_out(tmp_path: Path) -> None:
    """TLS waits half a minute for a client's own goodbye: its connection is one until then."""
    authority = Authority.open(tmp_path / "authority")
    passwords = {name: authority.enroll("lab", name).password for name in ("bad", "good")}
    trust = ssl.create_default_context(cafile=authority.ca_file)
    listen = BrokerAddress("127.0.0.1", 0, tls=True)
    with (
        EmbeddedBroker(listen, Doorkeeper(authority), most_clients=2 * MOST_OF_DEVICE) as running,
        contextlib.ExitStack() as stack,
    ):

        def leave_open() -> bool:
            """Whether it was let in; then it says farewell, and reads and closes nothing."""
            line = Line(running.address)
            stack.callback(line.socket.close)
            line.socket = trust.wrap_socket(line.socket, server_hostname="127.0.0.1")
            stack.callback(line.socket.close)
            is_in = line.say_hello("edgewright:lab:bad", "lab/bad", passwords["bad"])
            if is_in:
                line.socket.sendall(DISCONNECT)
            return is_in

        came = [leave_open() for _ in range(3 * MOST_OF_DEVICE)]
        # As long as there is room for all; then each takes the place of one that ends.
        assert came[: 2 * MOST_OF_DEVICE] == [True] * MOST_OF_DEVICE + [False] * MOST_OF_DEVICE
        good = Client(
            running.address, authority.ca_file, username="lab/good",
            password=passwords["good"], client_id="edgewright:lab:good",
        )  # fmt: skip
        stack.callback(good.close)
        assert good.is_in


def test_a_tls_connection_that_is_lost_is_not_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Asyncio logs each write from the fifth on, and Python 3.11 tells a turn too late."""
    authority = Authority.open(tmp_path / "authority")
    password = authority.enroll("lab", "box").password
    trust = ssl.create_default_context(cafile=authority.ca_file)
    take, ended = ClientConnection._take, threading.Event()  # noqa: SLF001 - to lose it in between
    taken = 0

    async def lose_it(connection: ClientConnection, packet: Packet) -> None:
        nonlocal taken
        taken += 1
        if taken == 1:
            hard_reset(line.socket)
        await take(connection, packet)
        if taken == TAKEN_AT_ONCE:
            ended.set()

    monkeypatch.setattr(ClientConnection, "_take", lose_it)
    listen = BrokerAddress("127.0.0.1", 0, tls=True)
    with EmbeddedBroker(listen, Doorkeeper(authority), most_clients=MOST) as running:
        line = Line(running.address)
        line.socket = trust.wrap_socket(line.socket, server_hostname="127.0.0.1")
        assert line.say_hello("edgewright:lab:box", "lab/box", password)
        line.socket.sendall(PINGREQ * TAKEN_AT_ONCE)
        assert ended.wait(PATIENCE_S)
    assert [one.getMessage() for one in caplog.records if one.name == "asyncio"] == []


def hard_reset(line: socket.socket) -> None:
    """Close a connection so that its other end cannot send any more."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.close()


def test_a_flood_of_packets_in_one_piece_waits_for_others(
    broker: EmbeddedBroker, call: Callable[[], Line], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was read at once, taken at once, held everybody else for seconds."""
    take, ended = ClientConnection._take, threading.Event()  # noqa: SLF001 - to count them
    taken = between = most = 0

    async def counted(connection: ClientConnection, packet: Packet) -> None:
        nonlocal taken
        taken += 1
        await take(connection, packet)

    async def look_at_each_turn() -> None:
        """What anybody else sees who has something to do at each turn of the broker's loop."""
        nonlocal between, most
        while not ended.is_set():
            most, between = max(most, taken - between), taken
            await asyncio.sleep(0)

    monkeypatch.setattr(ClientConnection, "_take", counted)
    flood = call()
    assert flood.say_hello("flood")
    looking = broker._run(look_at_each_turn())  # noqa: SLF001 - in its loop
    writer = threading.Thread(target=lambda: flood.socket.sendall(PINGREQ * FLOOD))
    writer.start()
    answered = 0
    while answered < FLOOD * len(PINGRESP):
        answered += len(flood.socket.recv(65_536))
    writer.join(PATIENCE_S)
    ended.set()
    looking.result(PATIENCE_S)
    assert taken == FLOOD
    assert most <= TAKEN_AT_ONCE
