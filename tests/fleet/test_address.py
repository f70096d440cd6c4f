"""Addresses that are taken and refused."""

from __future__ import annotations

import pytest

from fleet.address import BrokerAddress, parse_broker_url, parse_listen_address
from fleet.errors import AddressError


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("mqtt://broker.example:1884", "broker.example", 1884),
        ("mqtt://127.0.0.1", "127.0.0.1", 1883),
        ("localhost:1999", "localhost", 1999),
        ("mqtt://[::1]:1883", "::1", 1883),
    ],
)
def test_a_broker_url_gives_host_and_port(url: str, host: str, port: int) -> None:
    assert parse_broker_url(url) == BrokerAddress(host, port)


@pytest.mark.parametrize(
    "url",
    ["", "http://x:1", "mqtts://x", "mqtt://", "mqtt://x:99999", "mqtt://u:p@x", "mqtt://x/y"],
)
def test_another_broker_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(AddressError, match="expected mqtt://HOST:PORT"):
        parse_broker_url(url)


@pytest.mark.parametrize("text", ["127.0.0.1:0", "127.0.0.9:1", "localhost:5", "[::1]:7", "1883"])
def test_loopback_addresses_can_be_listened_on(text: str) -> None:
    assert parse_listen_address(text).port == int(text.rsplit(":", maxsplit=1)[-1])


@pytest.mark.parametrize("text", ["0.0.0.0:1883", "192.168.1.5:1883", "broker.example:1", "[::]:1"])
def test_an_address_off_loopback_is_refused_because_there_are_no_credentials(text: str) -> None:
    with pytest.raises(AddressError, match="no credentials yet"):
        parse_listen_address(text)


@pytest.mark.parametrize("text", ["", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", ":²"])
def test_a_malformed_listen_address_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(AddressError, match="expected HOST:PORT"):
        parse_listen_address(text)
