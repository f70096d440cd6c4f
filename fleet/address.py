"""Where the embedded broker listens: `HOST:PORT`, with TLS wherever others can reach it."""

from __future__ import annotations

from contract.address import BrokerAddress
from fleet.errors import AddressError

_HIGHEST_PORT = 65535
_TLS, _PLAIN = "mqtts://", "mqtt://"


def parse_listen_address(text: str) -> BrokerAddress:
    """Address to listen on from `HOST:PORT` or `PORT`; port 0 takes any free one.

    Off loopback it is TLS. On loopback it is when `mqtts://` stands before it.

    Raises:
        AddressError: malformed, or without TLS off loopback.
    """
    rest = text.removeprefix(_TLS).removeprefix(_PLAIN)
    host, _, port_text = rest.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port_text.isascii() or not port_text.isdigit() or int(port_text) > _HIGHEST_PORT:
        message = (
            f"listen address '{text}': expected HOST:PORT, such as 127.0.0.1:1883 for this "
            "machine alone, or 0.0.0.0:8883 for all"
        )
        raise AddressError(message)
    address = BrokerAddress("127.0.0.1" if host == "localhost" else host, int(port_text))
    if text.startswith(_PLAIN) and not address.is_loopback:
        message = f"listen address '{text}': off loopback there is TLS only; use {_TLS}{rest}"
        raise AddressError(message)
    tls = text.startswith(_TLS) or not address.is_loopback
    return BrokerAddress(address.host, address.port, tls)
