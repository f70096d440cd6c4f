"""Where a NATS cluster is: `nats://HOST:PORT`, or `tls://HOST:PORT`, of some of its servers."""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from fleet.errors import AddressError

_PORT = 4222
_PLAIN, _TLS = "nats", "tls"
_SHOWN_CHARACTERS = 80
_EXPECTED = (
    "expected nats://HOST[:PORT], or tls://HOST[:PORT] with TLS, of one or more servers with "
    "commas between, such as nats://10.0.0.1,nats://10.0.0.2"
)


class Servers(msgspec.Struct, frozen=True, kw_only=True):
    """Servers of one cluster; any of them will do, and the others become known from it."""

    urls: tuple[str, ...]
    tls: bool


def parse_servers(text: str) -> Servers:
    """Servers from their URLs with commas between; the port is 4222 where none is given.

    Raises:
        AddressError: another form, both with and without TLS, or credentials in a URL.
    """
    urls = tuple(_checked(one.strip()) for one in text.split(","))
    tls = {url.startswith(f"{_TLS}://") for url in urls}
    if len(tls) > 1:
        message = f"jetstream: expected {_TLS}:// for all servers, or {_PLAIN}:// for all"
        raise AddressError(message)
    return Servers(urls=urls, tls=tls.pop())


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        message = f"jetstream: {error}; {_EXPECTED}"
        raise AddressError(message) from error
    if parts.username is not None or parts.password is not None:
        message = f"jetstream: {_EXPECTED}, without user and password"
        raise AddressError(message)
    rest = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in {_PLAIN, _TLS} or not parts.hostname or rest or port == 0:
        message = f"jetstream: {_EXPECTED}; got '{url[:_SHOWN_CHARACTERS]}'"
        raise AddressError(message)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port or _PORT}"
