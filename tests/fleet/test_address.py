"""Addresses to listen on that are taken and refused."""

from __future__ import annotations

import pytest

from contract.address import BrokerAddress
from fleet.address import parse_http_address, parse_listen_address
from fleet.broker.embedded import EmbeddedBroker
from fleet.errors import AddressError


@pytest.mark.parametrize("text", ["127.0.0.1:0", "127.0.0.9:1", "localhost:5", "[::1]:7", "1883"])
def test_loopback_addresses_can_be_listened_on(text: str) -> None:
    address = parse_listen_address(text)
    assert address.port == int(text.rsplit(":", maxsplit=1)[-1])
    assert not address.tls


def test_loopback_speaks_tls_where_it_is_asked_to() -> None:
    assert parse_listen_address("mqtts://127.0.0.1:0") == BrokerAddress("127.0.0.1", 0, tls=True)


@pytest.mark.parametrize(
    "text", ["0.0.0.0:1883", "192.168.1.5:1883", "broker.example:1", "[::]:1", "mqtts://0.0.0.0:1"]
)
def test_off_loopback_there_is_tls(text: str) -> None:
    assert parse_listen_address(text).tls


@pytest.mark.parametrize("text", ["mqtt://0.0.0.0:1883", "mqtt://broker.example:1"])
def test_off_loopback_nothing_is_opened_without_tls(text: str) -> None:
    with pytest.raises(AddressError, match="use mqtts://"):
        parse_listen_address(text)


def test_the_embedded_broker_does_not_open_to_a_network_without_a_doorkeeper() -> None:
    with pytest.raises(AddressError, match="expected a doorkeeper"):
        EmbeddedBroker(BrokerAddress("0.0.0.0", 0))  # noqa: S104 - refused


@pytest.mark.parametrize("text", ["", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ":²"])
def test_a_malformed_listen_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(AddressError, match="expected HOST:PORT"):
        parse_listen_address(text)


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("8080", "http://127.0.0.1:8080"),
        ("localhost:1", "http://127.0.0.1:1"),
        ("[::1]:7", "http://[::1]:7"),
        ("0.0.0.0:443", "https://0.0.0.0:443"),
        ("fleet.example:2", "https://fleet.example:2"),
    ],
)
def test_http_off_loopback_has_tls(text: str, url: str) -> None:
    assert str(parse_http_address(text)) == url


@pytest.mark.parametrize(
    "text", ["", "host", "127.0.0.1:", "127.0.0.1:99999", "http://127.0.0.1:1x"]
)
def test_what_is_no_http_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError, match="expected HOST:PORT"):
        parse_http_address(text)
