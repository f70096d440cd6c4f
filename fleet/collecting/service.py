"""`serve`: a store, perhaps a broker, and a collector between them."""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import msgspec

from contract.address import BrokerAddress
from contract.topics import Leaf, device_filters, topics_of_all
from edgewright.private_files import mode_for_others
from fleet.address import HttpAddress
from fleet.authority.authority import fleet_access
from fleet.choosing.policy import DEFAULT_POLICY
from fleet.collecting.collector import Collector, Turn
from fleet.collecting.damage_check import DamageCheck
from fleet.collecting.decider import Decider
from fleet.collecting.embedded_broker import Where, embedded_broker
from fleet.collecting.intake import Intake
from fleet.collecting.upkeep import upkeep
from fleet.errors import AddressError, FleetError, StoreError, StoreUnavailableError
from fleet.jetstream.servers import Servers
from fleet.logs import LogFormat
from fleet.mqtt.frames import StreamOrder
from fleet.mqtt.link import Session
from fleet.mqtt.remote_link import RemoteLink
from fleet.store.broker_load import BrokerBehind, note_broker_behind
from fleet.store.broker_session import kept_client_id, remember_client_id
from fleet.store.database import Database, is_file_url, open_database
from fleet.store.lock import sole_user

_log = logging.getLogger(__name__)

#: Needs nats-py, so it is named and not imported.
_STREAM_PROGRAM = "fleet.jetstream.link_process"


class ServiceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What `serve` was asked to do; `broker` None brings an embedded one at `listen`.

    The authority is used where TLS is; an embedded broker makes it where it is missing.
    """

    store_url: str
    broker: BrokerAddress | None
    listen: BrokerAddress
    authority: Path
    #: The name or file of the policy under which decisions are kept up to date.
    policy: str = DEFAULT_POLICY
    #: Share the results with other collectors on the same store.
    shared: bool = False
    #: Share them through a stream of this cluster, whose MQTT gateway is the broker.
    jetstream: Servers | None = None
    #: Raw samples are rolled up after so many days; None keeps them.
    keep_samples_days: float | None = None
    log_format: LogFormat = LogFormat.TEXT
    #: Where to answer Prometheus; None: nowhere.
    metrics: HttpAddress | None = None


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Where devices and commands find the running service."""

    broker: BrokerAddress
    store_url: str
    metrics: HttpAddress | None = None


def run_service(
    options: ServiceOptions,
    *,
    stop: threading.Event,
    on_ready: Callable[[Ready], None],
) -> None:
    """Collect until `stop` is set; everything received by then is stored on return.

    Raises:
        PortInUseError: the embedded broker cannot listen.
        AddressError: to share without a broker or in a file, in two ways at once, or metrics for
            others.
        AuthorityError: TLS is asked for, and the authority cannot be used.
        StoreError: the store cannot be opened, or another collector uses it.
        StoreDamagedError: the store is damaged; what was not acknowledged devices keep.
    """
    _check(options)
    database = open_database(options.store_url, create=True)
    with (
        contextlib.closing(database),
        sole_user(database.url, database.path),
        contextlib.ExitStack() as stack,
    ):
        _log_if_open_to_others(database.path)
        if options.broker is None:
            where = stack.enter_context(
                embedded_broker(
                    options.listen, options.authority, functools.partial(_note_behind, database)
                )
            )
            Intake(database).disconnect_all()
        else:
            where = Where(inside=options.broker, outside=options.broker)
        on_turn, metrics = stack.enter_context(_counting(options))
        ready = Ready(broker=where.outside, store_url=database.url, metrics=metrics)
        source = _source(where.inside, database, options)
        if options.keep_samples_days is not None:
            stack.enter_context(
                upkeep(database, keep_samples_days=options.keep_samples_days, on_damage=stop.set)
            )
        collector = Collector(
            database,
            source,
            on_ready=lambda: on_ready(ready),
            on_turn=on_turn,
            decider=Decider(database, options.policy),
        )
        with _damage_blamed(database):
            collector.run(stop)


@contextlib.contextmanager
def _damage_blamed(database: Database) -> Iterator[None]:
    """Raise what fails in a way that it cannot fail as damage, where the store is damaged.

    Raises:
        StoreDamagedError: it is.
    """
    try:
        yield
    except FleetError:
        raise
    except Exception as error:
        DamageCheck(database).look_because_of(error)
        raise


def _log_if_open_to_others(path: Path | None) -> None:
    """Name the mode of a store that an earlier Edgewright or the operator opened to others.

    It stays: other users' commands may read the store by a group.
    """
    mode = mode_for_others(path) if path else None
    if mode:
        _log.warning(
            "store open to other users; 'chmod 600' it unless their commands read it path=%s "
            "mode=%s",
            path,
            mode,
        )


def _check(options: ServiceOptions) -> None:
    if (options.shared or options.jetstream) and options.broker is None:
        message = "collectors share the results of a broker of their own: name it with --broker"
        raise AddressError(message)
    if options.metrics is not None and not options.metrics.is_loopback:
        message = (
            f"metrics address '{options.metrics.host}': expected a loopback one, for nobody is "
            "asked for a token there; put a proxy in front for other machines"
        )
        raise AddressError(message)
    if options.shared and options.jetstream is not None:
        message = "expected one of --shared and --jetstream: results come in one of both ways"
        raise AddressError(message)
    if options.shared and is_file_url(options.store_url):
        message = (
            "collectors that share results share their store, a PostgreSQL: name it with --db, "
            f"got {options.store_url}"
        )
        raise AddressError(message)
    if options.jetstream is None:
        return
    if options.broker is not None and options.broker.tls != options.jetstream.tls:
        message = (
            f"expected TLS for both or neither, got --broker {options.broker} and --jetstream "
            f"{','.join(options.jetstream.urls)}"
        )
        raise AddressError(message)
    if find_spec("nats") is None:
        message = "JetStream needs nats-py: pip install 'edgewright[fleet,nats]'"
        raise AddressError(message)


def _source(broker: BrokerAddress, database: Database, options: ServiceOptions) -> RemoteLink:
    access = fleet_access(broker, options.authority)
    client_name = _client_name(database, options)
    former_ids = _former_client_ids(database) if options.broker is not None else []
    if options.jetstream is None:
        return RemoteLink(
            broker,
            access=access,
            client_name=client_name,
            session=_session(options),
            former_ids=former_ids,
            on_session_kept=functools.partial(_remember, database),
            log_format=options.log_format,
        )
    results = topics_of_all(Leaf.RESULT)
    return RemoteLink(
        broker,
        access=access,
        client_name=client_name,
        former_ids=former_ids,
        # What else devices say is retained: each collector hears all of that.
        session=Session.CLEAN,
        topics=[one for one in device_filters() if one != results],
        program=_STREAM_PROGRAM,
        stream=StreamOrder(servers=list(options.jetstream.urls), tls=options.jetstream.tls),
        log_format=options.log_format,
    )


@contextlib.contextmanager
def _counting(
    options: ServiceOptions,
) -> Iterator[tuple[Callable[[Turn], None], HttpAddress | None]]:
    if options.metrics is None:
        yield lambda _: None, None
        return
    # Other commands need not import what only this one counts with.
    from fleet.collecting.meter import Meter  # noqa: PLC0415 - see above

    meter = Meter()
    with meter.served(options.metrics) as where:
        yield meter.count, where


def _session(options: ServiceOptions) -> Session:
    if options.shared:
        return Session.SHARED
    # The embedded broker forgets sessions with its process; another one keeps what arrives
    # while the collector is away.
    return Session.CLEAN if options.broker is None else Session.KEPT


def _client_name(database: Database, options: ServiceOptions) -> str:
    name = _name_of(database)
    several = options.shared or options.jetstream is not None
    return f"{name}-{uuid.uuid4().hex[:8]}" if several else name


def _name_of(database: Database) -> str:
    return f"edgewright-fleet-{database.store_id()[:12]}"


def _former_client_ids(database: Database) -> list[str]:
    """Client ids under which a broker may keep a session of this store's collectors.

    The one of the last session, and the name alone: that was the whole id once. The latter is
    ended at each start, for a collector of before that still ran the last time began it anew.
    """
    with database.reading() as connection:
        last = kept_client_id(connection)
    return [_name_of(database), *([] if last is None else [last])]


def _note_behind(database: Database, clients: int, reason: str) -> None:
    behind = BrokerBehind(at=time.time(), clients=clients, reason=reason)
    # The log has it already.
    with contextlib.suppress(StoreError), database.writing() as connection:
        note_broker_behind(connection, behind)


def _remember(database: Database, client_id: str) -> None:
    try:
        with database.writing() as connection:
            remember_client_id(connection, client_id)
    except StoreUnavailableError as error:
        # Only a password that changes before the next start would leave a session behind.
        _log.error("store out of order, client id not remembered reason=%s", error)
