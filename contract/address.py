"""Where a broker is: `mqtt://HOST:PORT`, or `mqtts://HOST:PORT` with TLS."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import msgspec

from contract.errors import BrokerUrlError

#: The registered ports of MQTT, without and with TLS.
DEFAULT_PORT = 1883
DEFAULT_TLS_PORT = 8883
_PLAIN, _TLS = "mqtt", "mqtts"
_SHOWN_CHARACTERS = 80


class BrokerAddress(msgspec.Struct, frozen=True):
    """A broker's host and port, and whether it speaks TLS there."""

    host: str
    port: int = DEFAULT_PORT
    tls: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether nothing that is sent there leaves this machine."""
        return is_loopback(self.host)

    def __str__(self) -> str:
        """Render the address as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{_TLS if self.tls else _PLAIN}://{host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether a host is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # A name may point anywhere, and elsewhere tomorrow.
        return False


def parse_broker_url(url: str) -> BrokerAddress:
    """Address of a broker from its URL; the port is 1883, or 8883 with TLS, where none is given.

    Raises:
        BrokerUrlError: not of the form mqtt[s]://HOST[:PORT]; credentials in it are refused,
            for a URL ends up in logs and process lists.
    """
    expected = (
        "expected mqtt://HOST[:PORT], or mqtts://HOST[:PORT] with TLS, "
        "such as mqtt://127.0.0.1:1883"
    )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        message = f"broker: {error}; {expected}"
        raise BrokerUrlError(message) from error
    if parts.username is not None or parts.password is not None:
        message = f"broker: {expected}, without user and password"
        raise BrokerUrlError(message)
    rest = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in {_PLAIN, _TLS} or not parts.hostname or rest or port == 0:
        message = f"broker: {expected}, got '{url[:_SHOWN_CHARACTERS]}'"
        raise BrokerUrlError(message)
    tls = parts.scheme == _TLS
    usual = DEFAULT_TLS_PORT if tls else DEFAULT_PORT
    return BrokerAddress(parts.hostname, port if port is not None else usual, tls)
