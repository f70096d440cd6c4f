"""The API as a process: a socket, perhaps TLS, and a server until it is told to stop."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from contract.address import BrokerAddress
from edgewright.http_host import loopback_names
from edgewright.http_limits import HttpLimits, LimitedServer
from fleet.address import HttpAddress, http_listener
from fleet.api.app import make_app
from fleet.api.places import Places
from fleet.api.service import Service
from fleet.api.shelf import PolicyShelf
from fleet.api.watch import Watches
from fleet.authority.authority import Authority
from fleet.authority.names import is_address
from fleet.errors import AddressError, AuthorityError
from fleet.store.database import Database, open_database
from fleet.store.tokens import list_tokens

#: Longer than a listener of events needs to notice.
_GRACE_S = 3
_LISTENERS = 32
#: Checks of policies, each of which goes through all devices.
_CHECKS = 2


class ApiOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `api` was asked to do."""

    store_url: str
    listen: HttpAddress
    broker: BrokerAddress
    authority: Path
    tls_cert: Path | None
    tls_key: Path | None
    policies: Path | None
    #: Reading needs a token on loopback too.
    tokens_only: bool
    stale_after_s: float


def run_api(options: ApiOptions, *, on_ready: Callable[[str, str], None]) -> None:
    """Serve until SIGTERM or Ctrl-C; `on_ready` gets the URL and the store as soon as it does.

    Raises:
        AddressError: off loopback without any token.
        PortInUseError: somebody else listens there.
        AuthorityError: the certificate cannot be used.
        StoreError: the store cannot be opened.
    """
    database = open_database(options.store_url, create=False)
    with contextlib.closing(database):
        _expect_tokens(options, database)
        certificate, key = _certificate(options)
        with http_listener(options.listen, option="--listen") as listener:
            service = Service(
                database=database,
                shelf=PolicyShelf(options.policies),
                broker=options.broker,
                authority=options.authority,
                is_closed=options.tokens_only or not options.listen.is_loopback,
                host_names=_host_names(options),
                stale_after_s=options.stale_after_s,
                listeners=Places(_LISTENERS),
                watches=Watches(),
                checks=Places(_CHECKS),
                is_stopping=lambda: server.should_exit,
                clock=time.time,
            )
            url = _url(options, listener)
            server = LimitedServer(
                make_app(service),
                listener,
                limits=_limits(options),
                on_start=lambda: on_ready(url, database.url),
                ssl_certfile=certificate,
                ssl_keyfile=key,
                timeout_graceful_shutdown=_GRACE_S,
            )
            server.run()


def _limits(options: ApiOptions) -> HttpLimits:
    """Limits for clients; a proxy asks for all of them, from one address."""
    return HttpLimits(per_address=None) if options.tokens_only else HttpLimits()


def _expect_tokens(options: ApiOptions, database: Database) -> None:
    if options.listen.is_loopback:
        return
    with database.reading() as connection:
        if list_tokens(connection):
            return
    message = (
        f"listen address '{options.listen.host}': off loopback everybody needs a token, and there "
        "is none; make one with 'edgewright-fleet token create NAME'"
    )
    raise AddressError(message)


def _certificate(options: ApiOptions) -> tuple[Path | None, Path | None]:
    """Files of certificate and key; None on loopback without TLS."""
    if options.tls_cert is not None:
        for file in (options.tls_cert, options.tls_key or options.tls_cert):
            if not file.is_file():
                message = f"{file}: expected a certificate or key in PEM"
                raise AuthorityError(message)
        return options.tls_cert, options.tls_key or options.tls_cert
    if not options.listen.tls:
        return None, None
    authority = Authority.open(options.authority)
    if not is_address(options.listen.host):
        authority.add_names([options.listen.host])
    return authority.server_file, authority.server_file


def _host_names(options: ApiOptions) -> frozenset[str] | None:
    """Names that we go by; None where tokens guard everything, and a name nothing."""
    if options.tokens_only or not options.listen.is_loopback:
        return None
    return loopback_names(options.listen.host)


def _url(options: ApiOptions, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    tls = options.listen.tls or options.tls_cert is not None
    return str(HttpAddress(options.listen.host, port, tls=tls))
