"""The API as a process: a socket, perhaps TLS, and a server until it is told to stop."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import uvicorn

from contract.address import BrokerAddress
from fleet.address import HttpAddress
from fleet.api.app import make_app
from fleet.api.places import Places
from fleet.api.service import Service
from fleet.api.shelf import PolicyShelf
from fleet.api.watch import Watches
from fleet.authority.authority import Authority
from fleet.authority.names import is_address
from fleet.errors import AddressError, AuthorityError, PortInUseError
from fleet.store.database import Database, open_database
from fleet.store.tokens import list_tokens

_BACKLOG = 128
#: Longer than a listener of events needs to notice.
_GRACE_S = 3
_LISTENERS = 32
#: Connections; whoever is one too many is told to come again.
_AT_ONCE = 256
#: Checks of policies, each of which goes through all devices.
_CHECKS = 2
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


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
        with _listening(options.listen) as listener:
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
            config = uvicorn.Config(
                make_app(service),
                log_config=None,
                access_log=False,
                server_header=False,
                ws="none",
                ssl_certfile=certificate,
                ssl_keyfile=key,
                timeout_graceful_shutdown=_GRACE_S,
                limit_concurrency=_AT_ONCE,
                # Nobody in front is trusted to say who a client is.
                proxy_headers=False,
            )
            server = _Server(
                config, on_start=lambda: on_ready(_url(options, listener), database.url)
            )
            server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """Says when it is ready."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        if self.started:
            self._on_start()


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
    return _LOOPBACK_NAMES | {options.listen.host}


def _listening(address: HttpAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        message = (
            f"cannot listen on {address}: {error.strerror or error}; name another with --listen"
        )
        raise PortInUseError(message) from error
    return listener


def _url(options: ApiOptions, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    tls = options.listen.tls or options.tls_cert is not None
    return str(HttpAddress(options.listen.host, port, tls=tls))
