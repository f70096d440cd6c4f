"""Where the embedded broker listens: `HOST:PORT`, loopback only."""

from __future__ import annotations

import ipaddress

from contract.address import BrokerAddress
from fleet.errors import AddressError

_HIGHEST_PORT = 65535


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
