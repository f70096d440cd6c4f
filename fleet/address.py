"""Where we listen: `HOST:PORT`, with TLS wherever others can reach it."""

from __future__ import annotations

import errno
import socket

import msgspec

from contract.address import BrokerAddress
from fleet.errors import AddressError, PortInUseError

_HIGHEST_PORT = 65535
_TLS, _PLAIN = "mqtts://", "mqtt://"
_BACKLOG = 128


class HttpAddress(msgspec.Struct, frozen=True):
    """Where a server of ours listens for HTTP, and whether with TLS."""

    host: str
    port: int
    tls: bool = False

    @property
    def is_loopback(self) -> bool:
        """Whether nobody but this machine can reach it."""
        return BrokerAddress(self.host, self.port).is_loopback

    def __str__(self) -> str:
        """Render the address as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls else ''}://{host}:{self.port}"


def http_listener(address: HttpAddress, *, option: str) -> socket.socket:
    """A socket that listens at an address; port 0 takes any free one.

    Args:
        address: where to listen.
        option: of the command line, with which to name another address.

    Raises:
        PortInUseError: somebody else listens there.
        AddressError: this machine has no such address, or does not let this user listen there.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        message = (
            f"cannot listen on {address}: {error.strerror or error}; name another with {option}"
        )
        kind = PortInUseError if error.errno == errno.EADDRINUSE else AddressError
        raise kind(message) from error
    return listener


def parse_http_address(text: str) -> HttpAddress:
    """Address to listen on from `HOST:PORT` or `PORT`; with TLS off loopback.

    Raises:
        AddressError: malformed.
    """
    expected = "expected HOST:PORT, such as 127.0.0.1:8080 for this machine alone"
    host, port = _host_and_port(text, text, expected)
    address = HttpAddress(host, port)
    return HttpAddress(host, port, tls=not address.is_loopback)


def parse_listen_address(text: str) -> BrokerAddress:
    """Address to listen on from `HOST:PORT` or `PORT`; port 0 takes any free one.

    Off loopback it is TLS. On loopback it is when `mqtts://` stands before it.

    Raises:
        AddressError: malformed, or without TLS off loopback.
    """
    rest = text.removeprefix(_TLS).removeprefix(_PLAIN)
    expected = (
        "expected HOST:PORT, such as 127.0.0.1:1883 for this machine alone, or 0.0.0.0:8883 for all"
    )
    address = BrokerAddress(*_host_and_port(text, rest, expected))
    if text.startswith(_PLAIN) and not address.is_loopback:
        message = f"listen address '{text}': off loopback there is TLS only; use {_TLS}{rest}"
        raise AddressError(message)
    tls = text.startswith(_TLS) or not address.is_loopback
    return BrokerAddress(address.host, address.port, tls)


def _host_and_port(text: str, rest: str, expected: str) -> tuple[str, int]:
    host, _, port_text = rest.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port_text.isascii() or not port_text.isdigit() or int(port_text) > _HIGHEST_PORT:
        message = f"listen address '{text}': {expected}"
        raise AddressError(message)
    return "127.0.0.1" if host == "localhost" else host, int(port_text)
