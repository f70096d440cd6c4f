"""`serve`: a store, perhaps a broker, and a collector between them."""

from __future__ import annotations

import contextlib
import fcntl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from contract.address import BrokerAddress
from fleet.broker import EmbeddedBroker
from fleet.collector import Collector
from fleet.database import Database, open_database
from fleet.errors import StoreBusyError
from fleet.intake import Intake
from fleet.link import Link, Session


class ServiceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `serve` was asked to do; `broker` None brings an embedded one at `listen`."""

    store_url: str
    broker: BrokerAddress | None
    listen: BrokerAddress


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
        StoreError: the store cannot be opened, or another collector uses it.
    """
    database = open_database(options.store_url, create=True)
    with contextlib.closing(database), _sole_collector(database), contextlib.ExitStack() as stack:
        address = options.broker
        if address is None:
            address = stack.enter_context(EmbeddedBroker(options.listen)).address
            Intake(database).disconnect_all()
        ready = Ready(broker=address, store_url=database.url)
        link = Link(
            address,
            client_id=f"edgewright-fleet-{database.store_id()[:12]}",
            # The embedded broker forgets sessions with its process; another one keeps what
            # arrives while the collector is away.
            session=Session.CLEAN if options.broker is None else Session.KEPT,
        )
        Collector(database, link, on_ready=lambda: on_ready(ready)).run(stop)


@contextlib.contextmanager
def _sole_collector(database: Database) -> Iterator[None]:
    """Hold the store for one collector: two would take each other's place at the broker."""
    if database.path is None:
        yield
        return
    lock = Path(f"{database.path}.lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = (
                f"{database.url}: another 'edgewright-fleet serve' collects into this store; "
                "stop it, or name another store with --db"
            )
            raise StoreBusyError(message) from error
        yield
