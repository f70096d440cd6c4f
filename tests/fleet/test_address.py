"""Addresses to listen on that are taken and refused."""

from __future__ import annotations

import pytest

from fleet.address import parse_listen_address
from fleet.errors import AddressError


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
