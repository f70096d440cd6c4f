"""Broker addresses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.address import BrokerAddress, parse_broker_url
from contract.errors import BrokerUrlError

hosts = st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True) | st.ip_addresses().map(str)


@given(host=hosts, port=st.integers(min_value=1, max_value=65535), tls=st.booleans())
def test_an_address_survives_being_written_and_read(host: str, port: int, *, tls: bool) -> None:
    """Names, IPv4 and IPv6 alike, with and without TLS."""
    address = BrokerAddress(host, port, tls)
    assert parse_broker_url(str(address)) == address


def test_the_port_is_1883_where_none_is_given() -> None:
    """The registered port of MQTT."""
    assert parse_broker_url("mqtt://broker") == BrokerAddress("broker", 1883)


def test_the_port_is_8883_where_none_is_given_with_tls() -> None:
    """The registered port of MQTT over TLS."""
    assert parse_broker_url("mqtts://broker") == BrokerAddress("broker", 8883, tls=True)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("localhost", True),
        ("127.0.0.9", True),
        ("::1", True),
        ("0.0.0.0", False),  # noqa: S104 - nothing listens
        ("192.168.1.5", False),
        ("localhost.example", False),
    ],
)
def test_loopback_is_what_does_not_leave_this_machine(host: str, *, is_loopback: bool) -> None:
    """A name counts as loopback only where it can be nothing else."""
    assert BrokerAddress(host).is_loopback is is_loopback


@given(st.text(max_size=40).filter(lambda text: not text.lower().startswith(("mqtt:", "mqtts:"))))
def test_anything_else_is_refused_with_what_was_expected(text: str) -> None:
    """No text makes it fail in another way."""
    with pytest.raises(BrokerUrlError, match="expected mqtt://"):
        parse_broker_url(text)


@pytest.mark.parametrize(
    "url",
    ["http://host", "host:1883", "mqtt://", "mqtts://", "mqtt://host:99999", "mqtts://h/path"],
)
def test_other_schemes_and_broken_urls_are_refused(url: str) -> None:
    """The message says what would do."""
    with pytest.raises(BrokerUrlError, match="expected mqtt://"):
        parse_broker_url(url)


def test_a_password_in_the_url_is_refused_and_not_repeated() -> None:
    """URLs end up in logs."""
    with pytest.raises(BrokerUrlError) as caught:
        parse_broker_url("mqtt://user:secret@host")
    assert "secret" not in str(caught.value)
