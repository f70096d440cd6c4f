"""`serve`: a store, perhaps a broker, and a collector between them."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from contract.address import BrokerAddress
from fleet.authority.authority import Authority, fleet_access
from fleet.authority.names import is_address
from fleet.broker.doorkeeper import Doorkeeper
from fleet.broker.embedded import EmbeddedBroker
from fleet.collecting.collector import Collector
from fleet.collecting.intake import Intake
from fleet.collecting.upkeep import upkeep
from fleet.errors import AddressError
from fleet.mqtt.link import Session
from fleet.mqtt.remote_link import RemoteLink
from fleet.store.database import Database, open_database
from fleet.store.lock import sole_user

#: What listens on every address is reached from this machine at these.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on


class ServiceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `serve` was asked to do; `broker` None brings an embedded one at `listen`.

    The authority is used where TLS is; an embedded broker makes it where it is missing.
    """

    store_url: str
    broker: BrokerAddress | None
    listen: BrokerAddress
    authority: Path
    #: Share the results with other collectors on the same store.
    shared: bool = False
    #: Raw samples are rolled up after so many days; None keeps them.
    keep_samples_days: float | None = None


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Where devices and commands find the running service."""

    broker: BrokerAddress
    store_url: str


def run_service(
    options: ServiceOptions,
    *,
    stop: threading.Event,
    on_ready: Callable[[Ready], None],
) -> None:
    """Collect until `stop` is set; everything received by then is stored on return.

    Raises:
        PortInUseError: the embedded broker cannot listen.
        AddressError: to share without a broker.
        AuthorityError: TLS is asked for, and the authority cannot be used.
        StoreError: the store cannot be opened, or another collector uses it.
    """
    if options.shared and options.broker is None:
        message = "collectors share the results of a broker of their own: name it with --broker"
        raise AddressError(message)
    database = open_database(options.store_url, create=True)
    with (
        contextlib.closing(database),
        sole_user(database.url, database.path),
        contextlib.ExitStack() as stack,
    ):
        if options.broker is None:
            where = stack.enter_context(_embedded_broker(options))
            Intake(database).disconnect_all()
        else:
            where = _Where(inside=options.broker, outside=options.broker)
        ready = Ready(broker=where.outside, store_url=database.url)
        link = RemoteLink(
            where.inside,
            access=fleet_access(where.inside, options.authority),
            client_id=_client_id(database, options),
            session=_session(options),
        )
        if options.keep_samples_days is not None:
            stack.enter_context(upkeep(database, keep_samples_days=options.keep_samples_days))
        Collector(database, link, on_ready=lambda: on_ready(ready)).run(stop)


def _session(options: ServiceOptions) -> Session:
    if options.shared:
        return Session.SHARED
    # The embedded broker forgets sessions with its process; another one keeps what arrives
    # while the collector is away.
    return Session.CLEAN if options.broker is None else Session.KEPT


def _client_id(database: Database, options: ServiceOptions) -> str:
    name = f"edgewright-fleet-{database.store_id()[:12]}"
    return f"{name}-{uuid.uuid4().hex[:8]}" if options.shared else name


class _Where(msgspec.Struct, frozen=True):
    """Where the collector reaches the broker, and where devices do."""

    inside: BrokerAddress
    outside: BrokerAddress


@contextlib.contextmanager
def _embedded_broker(options: ServiceOptions) -> Iterator[_Where]:
    if not options.listen.tls:
        with EmbeddedBroker(options.listen) as broker:
            yield _Where(broker.address, broker.address)
        return
    authority = Authority.open(options.authority)
    host = options.listen.host
    if not is_address(host):
        authority.add_names([host])
    with EmbeddedBroker(options.listen, Doorkeeper(authority)) as broker:
        at = broker.address
        if host not in _EVERYWHERE:
            yield _Where(at, at)
            return
        yield _Where(
            msgspec.structs.replace(at, host=_EVERYWHERE[host]),
            msgspec.structs.replace(at, host=authority.public_host()),
        )
