"""Where brokers are: `mqtt://HOST:PORT` to reach one, `HOST:PORT` to be one."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import msgspec

from fleet.errors import AddressError

DEFAULT_PORT = 1883
_HIGHEST_PORT = 65535


class BrokerAddress(msgspec.Struct, frozen=True):
    """Host and port of an MQTT broker."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        """Render as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt://{host}:{self.port}"


def parse_broker_url(url: str) -> BrokerAddress:
    """Address of a broker from `mqtt://HOST[:PORT]`; the port defaults to 1883.

    Raises:
        AddressError: another scheme, no host, credentials, or a port outside 1 to 65535.
    """
    expected = f"broker '{url}': expected mqtt://HOST:PORT, such as mqtt://127.0.0.1:1883"
    try:
        parts = urlsplit(url if "://" in url else f"mqtt://{url}")
        port = DEFAULT_PORT if parts.port is None else parts.port
    except ValueError as error:
        message = f"{expected} ({error})"
        raise AddressError(message) from error
    if parts.scheme != "mqtt":
        message = f"{expected}; '{parts.scheme}' is not supported yet"
        raise AddressError(message)
    if parts.username is not None:
        message = f"{expected}; credentials are not supported yet"
        raise AddressError(message)
    if not parts.hostname or parts.path.strip("/") or not 1 <= port <= _HIGHEST_PORT:
        raise AddressError(expected)
    return BrokerAddress(parts.hostname, port)


def parse_listen_address(text: str) -> BrokerAddress:
    """Loopback address to listen on from `HOST:PORT` or `PORT`; port 0 takes any free one.

    Raises:
        AddressError: malformed, or not loopback: without credentials nothing is opened to
            a network.
    """
    host, _, port_text = text.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port_text.isascii() or not port_text.isdigit() or int(port_text) > _HIGHEST_PORT:
        message = f"listen address '{text}': expected HOST:PORT, such as 127.0.0.1:1883"
        raise AddressError(message)
    if not _is_loopback(host):
        message = (
            f"listen address '{text}': the embedded broker has no credentials yet, so it serves "
            "this machine only; use 127.0.0.1, or point --broker at a broker that has them"
        )
        raise AddressError(message)
    return BrokerAddress("127.0.0.1" if host == "localhost" else host, int(port_text))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
