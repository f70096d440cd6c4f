"""The broker that `serve` brings along: amqtt, in this process, on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import threading
from concurrent.futures import Future
from typing import Any, Self

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType
from amqtt.errors import AMQTTError
from amqtt.session import Session

from contract.address import BrokerAddress
from contract.messages import MAX_MESSAGE_BYTES
from fleet.errors import AddressError, BrokerAwayError, PortInUseError

_log = logging.getLogger(__name__)

#: Messages over the contract's limit still pass up to here, so that they reach quarantine
#: and are seen; a larger one costs the sender its connection.
_LARGEST_READ_BYTES = 4 * MAX_MESSAGE_BYTES
_STOP_PATIENCE_S = 10
_LISTENER = "default"


class EmbeddedBroker:
    """An MQTT broker with its own thread and event loop; a context manager.

    It keeps nothing on disk: after a restart devices and the fleet publish again what they
    had retained.
    """

    def __init__(self, listen: BrokerAddress) -> None:
        self._listen = listen
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="broker", daemon=True)
        self._broker: Broker | None = None
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

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
        return BrokerAddress(self._listen.host, port)

    async def _start(self) -> None:
        listener = ListenerConfig(type=ListenerType.EXTERNAL, bind=str(self._listen))
        config = BrokerConfig(
            listeners={_LISTENER: listener},
            plugins={"amqtt.plugins.authentication.AnonymousAuthPlugin": {}},
        )
        try:
            # The socket is ours, not amqtt's: its own listener takes any size of message and
            # reports a port in use as a traceback.
            self._server = await asyncio.start_server(
                self._serve_client, self._listen.host, self._listen.port
            )
            self._broker = _DiscreetBroker(config, self._loop)
            await self._broker.start()
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
        self._writers.add(writer)
        try:
            await self._broker.external_connected(
                _LimitedReader(reader), StreamWriterAdapter(writer), _LISTENER
            )
        except (OSError, EOFError, AMQTTError) as error:
            _log.info("connection ended reason=%r", error)
        finally:
            self._writers.discard(writer)
            writer.close()

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
    """Sends a client the retained messages of its own subscriptions only.

    At every connect, amqtt 0.12.1 walks through the subscriptions of all clients: each device
    was sent the desired states of all others, and a connect during the walk ended in an error.
    """

    async def _publish_retained_messages_for_subscription(
        self,
        subscription: tuple[str, int],
        session: Session,
    ) -> None:
        subscribers = self._subscriptions.get(subscription[0], [])
        if any(one.client_id == session.client_id for one, _ in subscribers):
            await super()._publish_retained_messages_for_subscription(subscription, session)


class _LimitedReader(StreamReaderAdapter):  # type: ignore[misc] # amqtt ships no types
    """Refuses to read a packet that no message of ours can need."""

    async def read(self, n: int = -1) -> bytes:
        if n > _LARGEST_READ_BYTES:
            _log.warning("connection closed reason=message of %d bytes", n)
            message = f"message of {n} bytes: expected at most {_LARGEST_READ_BYTES}"
            raise ValueError(message)
        data: bytes = await super().read(n)
        return data


def _listening_failed(listen: BrokerAddress, error: OSError) -> PortInUseError | AddressError:
    if error.errno == errno.EADDRINUSE:
        return PortInUseError(
            f"port {listen.port} on {listen.host} is in use, perhaps by another broker; choose "
            f"another with --listen {listen.host}:PORT, or use that broker with "
            f"--broker {listen}"
        )
    return AddressError(f"cannot listen on {listen.host}:{listen.port}: {error.strerror}")
