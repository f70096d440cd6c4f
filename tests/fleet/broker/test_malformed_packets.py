"""Clients that are in and then send what is no MQTT, or too much of it."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
from collections.abc import Iterator

import pytest

from contract.address import BrokerAddress
from fleet.broker.embedded import EmbeddedBroker

_CONNECT = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01"
_CONNACK = b"\x20\x02\x00\x00"
_PING, _PONG = b"\xc0\x00", b"\xd0\x00"
_TIMEOUT_S = 30


@pytest.fixture(scope="module")
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(BrokerAddress("127.0.0.1", 0)) as running:
        yield running


@contextlib.contextmanager
def joined(broker: EmbeddedBroker, name: bytes) -> Iterator[socket.socket]:
    with socket.create_connection(
        (broker.address.host, broker.address.port), timeout=_TIMEOUT_S
    ) as client:
        client.sendall(_CONNECT + name)
        assert exactly(client, 4) == _CONNACK
        yield client


def exactly(client: socket.socket, n: int) -> bytes:
    """The next `n` bytes, or what comes before the end."""
    heard = b""
    while len(heard) < n and (piece := client.recv(n - len(heard))):
        heard += piece
    return heard


def rest_of(client: socket.socket) -> None:
    """Read until the broker hangs up."""
    with contextlib.suppress(ConnectionError):
        while client.recv(65536):
            pass


@pytest.mark.parametrize("kind", range(16))
def test_a_packet_of_noise_costs_its_maker_the_connection_at_most(
    broker: EmbeddedBroker, kind: int, caplog: pytest.LogCaptureFixture
) -> None:
    chance = random.Random(kind)  # noqa: S311 - the same noise each time
    with caplog.at_level(logging.ERROR), joined(broker, b"b") as bystander:
        for length in [*range(12), *(chance.randrange(12, 120) for _ in range(20))]:
            with joined(broker, b"n") as noisy, contextlib.suppress(ConnectionError):
                first = bytes([kind << 4 | chance.randrange(16), length])
                noisy.sendall(first + chance.randbytes(length))
                noisy.shutdown(socket.SHUT_WR)
                rest_of(noisy)
        bystander.sendall(_PING)
        assert exactly(bystander, 2) == _PONG
    assert [record.getMessage() for record in caplog.records] == []


@pytest.mark.parametrize(
    "packet",
    [
        b"\x32\xff\xff\xff\x7f",
        b"\x32\x80\x80\x80\x80\x01",
        b"\x82\x00",
        b"\xa2\x00",
        b"\x40\x01\x00",
        b"\x32\x05\x00\x01#\x00\x01",
        b"\x36\x05\x00\x01a\x00\x01",
        b"\x32\x05\x00\x01\xff\x00\x01",
        _CONNECT + b"n",
    ],
    ids=[
        "giant",
        "endless",
        "subscribe",
        "unsubscribe",
        "puback",
        "wild",
        "qos-3",
        "utf-8",
        "again",
    ],
)
def test_what_breaks_the_protocol_ends_the_connection(
    broker: EmbeddedBroker, packet: bytes
) -> None:
    with joined(broker, b"n") as client:
        client.sendall(packet)
        rest_of(client)


def test_packets_arrive_in_any_pieces(broker: EmbeddedBroker) -> None:
    subscribe = b"\x82\x06\x00\x01\x00\x01a\x01"
    publish = b"\x32\x08\x00\x01a\x00\x02one"
    with joined(broker, b"p") as client:
        for byte in subscribe + publish:
            client.sendall(bytes([byte]))
        granted, confirmed = b"\x90\x03\x00\x01\x01", b"\x40\x02\x00\x02"
        heard = exactly(client, len(granted + confirmed + publish))
        assert heard.startswith(granted)
        assert confirmed in heard
        assert heard.endswith((b"\x32\x08\x00\x01a\x00\x01one", confirmed))
