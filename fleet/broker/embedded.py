"""The broker that `serve` brings along: amqtt, in this process.

On loopback it is open to whoever is on this machine. Everywhere else it has a doorkeeper:
TLS, accounts, and rules for topics.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import threading
from concurrent.futures import Future
from typing import Any, Self

import msgspec
from amqtt.adapters import StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import AMQTTError
from amqtt.mqtt.connack import ConnackPacket
from amqtt.session import Session

from contract.address import BrokerAddress
from fleet.broker.doorkeeper import Doorkeeper, Pass, Refusal
from fleet.broker.first_packet import PacketReader
from fleet.errors import AddressError, BrokerAwayError, NoCallerError, PortInUseError

_log = logging.getLogger(__name__)

_STOP_PATIENCE_S = 10
_HANDSHAKE_PATIENCE_S = 10
#: How soon a device whose password is void must leave.
_LOOK_AGAIN_S = 1.0
_LISTENER = "default"
_EVERYBODY: dict[str, dict[str, object]] = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {}}


class EmbeddedBroker:
    """An MQTT broker with its own thread and event loop; a context manager.

    It keeps nothing on disk: after a restart devices and the fleet publish again what they
    had retained.

    Args:
        listen: where; with TLS exactly where there is a doorkeeper.
        doorkeeper: lets clients in; None lets everybody in, for loopback.
    """

    def __init__(self, listen: BrokerAddress, doorkeeper: Doorkeeper | None = None) -> None:
        if doorkeeper is None and not listen.is_loopback:
            message = f"{listen}: expected a doorkeeper, for this is not loopback"
            raise AddressError(message)
        self._listen = msgspec.structs.replace(listen, tls=doorkeeper is not None)
        self._doorkeeper = doorkeeper
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="broker", daemon=True)
        self._broker: Broker | None = None
        self._server: asyncio.Server | None = None
        #: Everybody who is connected, with the pass of those who needed one.
        self._writers: dict[asyncio.StreamWriter, Pass | None] = {}
        #: Held here, for asyncio holds no task.
        self._looking: asyncio.Task[None] | None = None

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

    async def _start(self) -> None:
        listener = ListenerConfig(type=ListenerType.EXTERNAL, bind=str(self._listen))
        guarded = self._doorkeeper is not None
        # The doorkeeper has asked for the password before amqtt sees a client.
        plugins = _EVERYBODY | ({"fleet.broker.topic_rules.TopicRules": {}} if guarded else {})
        config = BrokerConfig(listeners={_LISTENER: listener}, plugins=plugins)
        try:
            # The socket is ours, not amqtt's: its own listener takes any size of message and
            # reports a port in use as a traceback.
            self._server = await asyncio.start_server(
                self._serve_client,
                self._listen.host,
                self._listen.port,
                ssl=self._doorkeeper.tls if self._doorkeeper else None,
                ssl_handshake_timeout=_HANDSHAKE_PATIENCE_S if guarded else None,
            )
            self._broker = _DiscreetBroker(config, self._loop)
            await self._broker.start()
            if self._doorkeeper is not None:
                self._looking = asyncio.create_task(self._keep_looking(self._doorkeeper))
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
        packets = PacketReader(reader)
        try:
            if self._doorkeeper is None or await self._let_in(self._doorkeeper, packets, writer):
                await self._broker.external_connected(
                    packets, StreamWriterAdapter(writer), _LISTENER
                )
        except (OSError, EOFError, AMQTTError, NoCallerError) as error:
            _log.info("connection ended reason=%r", error)
        finally:
            self._writers.pop(writer, None)
            writer.close()

    async def _let_in(
        self,
        doorkeeper: Doorkeeper,
        packets: PacketReader,
        writer: asyncio.StreamWriter,
    ) -> bool:
        # Before amqtt sees the client: at a CONNECT, amqtt 0.12.1 gives it the session and the
        # connection of whoever had its id, and asks for the password only then.
        answer = doorkeeper.admit(await packets.read_caller())
        if isinstance(answer, Refusal):
            await ConnackPacket.build(0, answer.value).to_stream(StreamWriterAdapter(writer))
            return False
        self._writers[writer] = answer
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
        for writer in self._writers:
            writer.transport.abort()
        rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        if rest:
            await asyncio.wait(rest, timeout=_STOP_PATIENCE_S / 2)

    def _run(self, coroutine: Any) -> Future[Any]:  # noqa: ANN401 - amqtt ships no types
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _end_loop(self) -> None:
        # Not Broker.shutdown(): with messages in flight it waits for ever (amqtt 0.12.1), and
        # there is nothing on disk that it could put in order.
        with contextlib.suppress(TimeoutError):
            self._run(self._stop()).result(_STOP_PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_PATIENCE_S)
        self._loop.close()


class _DiscreetBroker(Broker):  # type: ignore[misc] # amqtt ships no types
    """Sends a client the retained messages of its own subscriptions only, and misses the dead.

    At every connect, amqtt 0.12.1 walks through the subscriptions of all clients: each device
    was sent the desired states of all others, and a connect during the walk ended in an error.
    And it waits for ever for clients that fell silent: a box without power stayed online.
    """

    async def _handle_client_session(
        self,
        reader: PacketReader,
        writer: StreamWriterAdapter,
        client_session: Session,
        *rest: object,
    ) -> None:
        reader.expect_within(client_session.keep_alive)
        await super()._handle_client_session(reader, writer, client_session, *rest)

    async def _publish_retained_messages_for_subscription(
        self,
        subscription: tuple[str, int],
        session: Session,
    ) -> None:
        subscribers = self._subscriptions.get(subscription[0], [])
        if any(one.client_id == session.client_id for one, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)


def _listening_failed(listen: BrokerAddress, error: OSError) -> PortInUseError | AddressError:
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(
            f"port {listen.port} on {listen.host} is in use, perhaps by another broker; choose "
            f"another with --listen {listen.host}:PORT, or use that broker with "
            f"--broker {listen}"
        )
    return AddressError(f"cannot listen on {listen.host}:{listen.port}: {error.strerror}")
