"""Where the broker is: `mqtt://host:port`."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from agent.errors import ConfigError

_DEFAULT_PORT = 1883
_SHOWN_CHARACTERS = 80


class BrokerAddress(msgspec.Struct, frozen=True):
    """A broker's host and port."""

    host: str
    port: int

    def __str__(self) -> str:
        """Render the address as it is written in the configuration."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt://{host}:{self.port}"


def parse_broker(url: str) -> BrokerAddress:
    """Address of a broker from its URL; the port is 1883 where none is given.

    Raises:
        ConfigError: not of the form mqtt://HOST[:PORT]; credentials in it are refused, for
            a URL ends up in logs and process lists.
    """
    expected = "expected mqtt://HOST[:PORT]"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        message = f"broker: {error}; {expected}"
        raise ConfigError(message) from error
    if parts.username is not None or parts.password is not None:
        message = f"broker: {expected} without user and password"
        raise ConfigError(message)
    rest = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme != "mqtt" or not parts.hostname or rest or port == 0:
        message = f"broker: {expected}, got '{url[:_SHOWN_CHARACTERS]}'"
        raise ConfigError(message)
    return BrokerAddress(parts.hostname, port if port is not None else _DEFAULT_PORT)
