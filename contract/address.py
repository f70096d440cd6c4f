"""Where a broker is: `mqtt://HOST:PORT`."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from contract.errors import BrokerUrlError

#: The registered port of MQTT.
DEFAULT_PORT = 1883
_SHOWN_CHARACTERS = 80


class BrokerAddress(msgspec.Struct, frozen=True):
    """A broker's host and port."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        """Render the address as a URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt://{host}:{self.port}"


def parse_broker_url(url: str) -> BrokerAddress:
    """Address of a broker from its URL; the port is 1883 where none is given.

    Raises:
        BrokerUrlError: not of the form mqtt://HOST[:PORT]; credentials in it are refused, for
            a URL ends up in logs and process lists.
    """
    expected = "expected mqtt://HOST[:PORT], such as mqtt://127.0.0.1:1883"
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
    if parts.scheme != "mqtt" or not parts.hostname or rest or port == 0:
        message = f"broker: {expected}, got '{url[:_SHOWN_CHARACTERS]}'"
        raise BrokerUrlError(message)
    return BrokerAddress(parts.hostname, port if port is not None else DEFAULT_PORT)
