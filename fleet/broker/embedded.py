"""The broker that `serve` brings along: amqtt, in this process.

On loopback it is open to whoever is on this machine. Everywhere else it has a doorkeeper:
TLS, accounts, and rules for topics.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Self, cast

import msgspec
from amqtt.adapters import StreamWriterAdapter
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import AMQTTError
from amqtt.mqtt.connack import ConnackPacket

from contract.address import BrokerAddress
from edgewright.connections import ConnectionLimits, Connections, LimitedListener
from edgewright.rate_limit import rate_limited_logger
from fleet.broker.doorkeeper import Caller, Doorkeeper, Pass, Refusal
from fleet.broker.first_packet import PacketReader
from fleet.broker.flow_control import FlowControl
from fleet.broker.load_watch import watch_load
from fleet.broker.routing_broker import RoutingBroker
from fleet.errors import AddressError, BrokerAwayError, NoCallerError, PortInUseError

_log = rate_limited_logger(__name__)

_STOP_PATIENCE_S = 10
_HANDSHAKE_PATIENCE_S = 10
_MOST_CLIENTS = 1000
#: An agent needs one, and a second where the broker has not noticed yet that the first is gone;
#: `conform` tries an account with a dozen.
MOST_OF_DEVICE = 16
#: Clients that connect at once, as all do after a restart, wait here.
_BACKLOG = 1024
#: How soon a device whose password is void must leave.
_LOOK_AGAIN_S = 1.0
_LISTENER = "default"


class EmbeddedBroker:
    """An MQTT broker with its own thread and event loop; a context manager.

    It keeps nothing on disk: after a restart devices and the fleet publish again what they
    had retained.

    Args:
        listen: where; with TLS exactly where there is a doorkeeper.
        doorkeeper: lets clients in; None lets everybody in, for loopback.
        most_clients: connections at once. One more takes the place of the stranger who has waited
            longest to say who it is; where all have said so, it is refused.
        on_behind: is told, from any thread, when clients send more than can be carried: how many
            clients there are, and the reason.
    """

    def __init__(
        self,
        listen: BrokerAddress,
        doorkeeper: Doorkeeper | None = None,
        *,
        most_clients: int = _MOST_CLIENTS,
        on_behind: Callable[[int, str], None] = lambda _clients, _reason: None,
    ) -> None:
        if doorkeeper is None and not listen.is_loopback:
            message = f"{listen}: expected a doorkeeper, for this is not loopback"
            raise AddressError(message)
        self._listen = msgspec.structs.replace(listen, tls=doorkeeper is not None)
        self._doorkeeper = doorkeeper
        self._on_behind = on_behind
        limits = ConnectionLimits(
            head_s=_HANDSHAKE_PATIENCE_S, connections=most_clients, per_address=None
        )
        self._connections = Connections(limits)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="broker", daemon=True)
        self._broker: RoutingBroker | None = None
        self._server: asyncio.Server | None = None
        #: Everybody who is connected, with the pass of those who needed one.
        self._writers: dict[asyncio.StreamWriter, Pass | None] = {}
        self._serving: set[asyncio.Task[None]] = set()
        #: Held here, for asyncio holds no task.
        self._chores: list[asyncio.Task[None]] = []

    def __enter__(self) -> Self:
        """Start listening.

        Raises:
            PortInUseError: somebody else listens there.
            AddressError: the address is not one of this machine or needs privileges.
        """
        self._thread.start()
        try:
            self._run(self._start()).result()
        except BaseException:
            self._end_loop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close every connection and the port."""
        self._end_loop()

    @property
    def address(self) -> BrokerAddress:
        """Where clients reach this broker, with the port that it really got."""
        if self._server is None:
            return self._listen
        port = int(self._server.sockets[0].getsockname()[1])
        return msgspec.structs.replace(self._listen, port=port)

    @property
    def flow(self) -> FlowControl:
        """What waits in the running broker; others may look at it, from any thread."""
        if self._broker is None:
            message = "the embedded broker does not run"
            raise BrokerAwayError(message)
        return self._broker.flow

    async def _start(self) -> None:
        listener = ListenerConfig(type=ListenerType.EXTERNAL, bind=str(self._listen))
        guarded = self._doorkeeper is not None
        # The doorkeeper has asked for the password before amqtt sees a client, and the broker
        # knows the rules.
        config = BrokerConfig(listeners={_LISTENER: listener}, plugins={})
        try:
            # The socket is ours, not amqtt's: its own listener takes any size of message and
            # reports a port in use as a traceback.
            self._server = await asyncio.start_server(
                self._serve_client,
                sock=LimitedListener.of(_bound(self._listen), self._connections),
                backlog=_BACKLOG,
                ssl=self._doorkeeper.tls if self._doorkeeper else None,
                ssl_handshake_timeout=_HANDSHAKE_PATIENCE_S if guarded else None,
            )
            self._broker = RoutingBroker(config, self._loop, is_guarded=guarded)
            await self._broker.start()
            self._chores.append(asyncio.create_task(watch_load(self._broker, self._on_behind)))
            if self._doorkeeper is not None:
                self._chores.append(asyncio.create_task(self._keep_looking(self._doorkeeper)))
        except OSError as error:
            raise _listening_failed(self._listen, error) from error
        except AMQTTError as error:
            message = f"the embedded broker does not start: {error}"
            raise BrokerAwayError(message) from error

    async def _serve_client(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if self._broker is None:
            writer.close()
            return
        self._writers[writer] = None
        accepted = self._connections.found(cast("asyncio.Transport", writer.transport))
        task = asyncio.current_task()
        if task is not None:
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        packets = PacketReader(reader)
        try:
            caller = await packets.read_caller()
            if self._doorkeeper is None or await self._let_in(self._doorkeeper, caller, writer):
                if (given := self._writers[writer]) is not None:
                    self._connections.assign(accepted, given.account)
                self._connections.note(accepted, is_answering=True)
                # Before amqtt takes up what it knows of the client id, its last will included.
                await self._broker.end_connection(caller.client_id)
                await self._broker.external_connected(
                    packets, StreamWriterAdapter(writer), _LISTENER
                )
        except NoCallerError as error:
            _log.warning("connection of a stranger ended reason=%s", error)
        except (OSError, EOFError, AMQTTError) as error:
            _log.info("connection ended reason=%r", error)
        finally:
            self._writers.pop(writer, None)
            # TLS waits half a minute for the client's goodbye; whoever wants its place may have it.
            self._connections.note(accepted, is_answering=False)
            writer.close()

    async def _let_in(
        self,
        doorkeeper: Doorkeeper,
        caller: Caller,
        writer: asyncio.StreamWriter,
    ) -> bool:
        # Before amqtt sees the client: at a CONNECT, amqtt 0.12.1 gives it the session and the
        # connection of whoever had its id, and asks for the password only then.
        answer = doorkeeper.admit(caller)
        if isinstance(answer, Pass) and self._has_enough(answer):
            answer = Refusal.UNAVAILABLE
        if isinstance(answer, Refusal):
            await ConnackPacket.build(0, answer.value).to_stream(StreamWriterAdapter(writer))
            return False
        self._writers[writer] = answer
        return True

    def _has_enough(self, given: Pass) -> bool:
        """Whether a device's account is connected so often that others' places are in danger."""
        if not given.is_device or self._connections.of_account(given.account) < MOST_OF_DEVICE:
            return False
        _log.warning("connection refused username=%s at_most=%d", given.account, MOST_OF_DEVICE)
        return True

    async def _keep_looking(self, doorkeeper: Doorkeeper) -> None:
        while True:
            await asyncio.sleep(_LOOK_AGAIN_S)
            doorkeeper.look_again()
            for writer, given in list(self._writers.items()):
                if given is not None and not doorkeeper.is_welcome(given):
                    _log.warning(
                        "connection ended username=%s reason=its password is void", given.account
                    )
                    writer.transport.abort()

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for chore in self._chores:
            chore.cancel()
        if self._broker is not None:
            self._broker.end_connections()
        # Those that no client id is known of yet.
        for writer in self._writers:
            writer.transport.abort()
        # Their tasks end with the connections. asyncio logs a traceback for each that is cancelled.
        if self._serving:
            await asyncio.wait(self._serving, timeout=_STOP_PATIENCE_S / 2)
        if self._broker is not None:
            await self._broker.shutdown()

    def _run(self, coroutine: Any) -> Future[Any]:  # noqa: ANN401 - amqtt ships no types
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _end_loop(self) -> None:
        with contextlib.suppress(TimeoutError):
            self._run(self._stop()).result(_STOP_PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_PATIENCE_S)
        self._loop.close()


def _bound(listen: BrokerAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    return socket.create_server((listen.host, listen.port), family=family, backlog=_BACKLOG)


def _listening_failed(listen: BrokerAddress, error: OSError) -> PortInUseError | AddressError:
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(
            f"port {listen.port} on {listen.host} is in use, perhaps by another broker; choose "
            f"another with --listen {listen.host}:PORT, or use that broker with --broker "
            f"mqtt://127.0.0.1:{listen.port} (mqtts://localhost:{listen.port} where it has TLS)"
        )
    return AddressError(f"cannot listen on {listen.host}:{listen.port}: {error.strerror}")
