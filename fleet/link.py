"""The fleet's connection to a broker: paho-mqtt, MQTT 3.1.1, QoS 1."""

from __future__ import annotations

import contextlib
import enum
import logging
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode

from contract.access import Access
from contract.address import BrokerAddress
from contract.messages import Ack, Desired, encode_message
from contract.topics import Leaf, device_filters, topic_for
from fleet.client import KEEPALIVE_S, connect, connect_failed, make_client, refused
from fleet.delivery import Delivery
from fleet.errors import BrokerAwayError

_log = logging.getLogger(__name__)

_QOS = 1
_RECONNECT_MIN_S = 1
_RECONNECT_MAX_S = 15
#: Waiting deliveries; a full queue stops reading from the broker until the store keeps up.
_QUEUE_LENGTH = 2000
_PUT_PATIENCE_S = 0.5


class Session(enum.Enum):
    """Whether the broker keeps what arrives while the collector is away."""

    KEPT = "kept"
    CLEAN = "clean"


class Subscribed(msgspec.Struct, frozen=True):
    """The broker delivers from now on; what it had retained may be gone."""


class Link:
    """A subscribed connection that comes back by itself; feed `receive` in a loop.

    Without `topics` it is told all that devices say.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        access: Access,
        client_id: str,
        session: Session,
        topics: Sequence[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._address = address
        self._clock = clock
        self._topics = list(topics) or device_filters()
        #: Why there is no connection, where the last try failed.
        self.problem: str | None = None
        self._inbox: queue.Queue[Delivery | Subscribed] = queue.Queue(_QUEUE_LENGTH)
        self._closing = threading.Event()
        clean = session is Session.CLEAN
        self._client = make_client(address, access, client_id=client_id, clean=clean)
        self._client.reconnect_delay_set(_RECONNECT_MIN_S, _RECONNECT_MAX_S)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message

    def open(self) -> None:
        """Start connecting, and keep trying until `close`."""
        self._client.connect_async(self._address.host, self._address.port, KEEPALIVE_S)
        self._client.loop_start()

    def receive(self, *, at_most: int, wait_s: float) -> list[Delivery | Subscribed]:
        """What is waiting, at most `at_most`; waits `wait_s` for the first, then for none."""
        waiting: list[Delivery | Subscribed] = []
        with contextlib.suppress(queue.Empty):
            waiting.append(self._inbox.get(timeout=wait_s))
            while len(waiting) < at_most:
                waiting.append(self._inbox.get_nowait())
        return waiting

    def publish(self, message: Ack | Desired) -> None:
        """Hand a retained message to the broker; skipped while the broker is away.

        After each `Subscribed` the collector publishes everything again from the store, so
        nothing needs to queue up here.
        """
        if self._client.is_connected():
            self._client.publish(_topic_of(message), encode_message(message), _QOS, retain=True)

    def close(self) -> None:
        """Disconnect; what was received before stays in `receive`."""
        self._closing.set()
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(
        self,
        client: mqtt.Client,
        _userdata: object,
        _flags: object,
        reason: Any,  # noqa: ANN401 - paho's ReasonCode ships without annotations
        _properties: object,
    ) -> None:
        if reason.is_failure:
            self.problem = refused(reason)
            _log.error("broker refused broker=%s reason=%s", self._address, self.problem)
            return
        self.problem = None
        _log.info("connected broker=%s", self._address)
        client.subscribe([(topic, _QOS) for topic in self._topics])

    def _on_connect_fail(self, _client: mqtt.Client, _userdata: object) -> None:
        # paho calls this while it handles the error, and does not say which it was.
        error = sys.exception()
        reason = connect_failed(self._address, error) if isinstance(error, OSError) else error
        self.problem = str(reason)
        _log.info("broker away, trying again broker=%s reason=%s", self._address, reason)

    def _on_disconnect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: object,
        reason: object,
        _properties: object,
    ) -> None:
        _log.info("disconnected broker=%s reason=%s", self._address, reason)

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _message_id: int,
        reasons: list[Any],
        _properties: object,
    ) -> None:
        refused = [str(reason) for reason in reasons if reason.is_failure]
        if refused:
            self.problem = refused[0]
            _log.error("broker refused to subscribe broker=%s reason=%s", self._address, refused[0])
            return
        self._put(Subscribed())

    def _on_message(
        self,
        _client: mqtt.Client,
        _userdata: object,
        message: mqtt.MQTTMessage,
    ) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError as error:
            _log.warning("dropped a message whose topic is not UTF-8 reason=%s", error)
            return
        self._put(
            Delivery(
                topic=topic,
                payload=bytes(message.payload),
                retained=message.retain,
                received_at=self._clock(),
            ),
        )

    def _put(self, item: Delivery | Subscribed) -> None:
        while not self._closing.is_set():
            try:
                self._inbox.put(item, timeout=_PUT_PATIENCE_S)
            except queue.Full:
                continue
            return


def publish_once(
    address: BrokerAddress,
    messages: Sequence[Desired],
    *,
    access: Access,
    client_id: str,
    timeout_s: float,
) -> None:
    """Publish retained messages and wait until the broker has them all.

    Raises:
        BrokerAwayError: it cannot be reached or trusted, refuses us, or did not take them
            within `timeout_s`.
    """
    client = make_client(address, access, client_id=client_id, clean=True)
    deadline = time.monotonic() + timeout_s
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client.on_connect = lambda _client, _userdata, _flags, reason, _properties: answers.put(reason)
    try:
        connect(client, address)
        reason = answers.get(timeout=timeout_s)
        if reason.is_failure:
            message = f"broker {address}: refused: {refused(reason)}"
            raise BrokerAwayError(message)
        pending = [
            client.publish(_topic_of(message), encode_message(message), _QOS, retain=True)
            for message in messages
        ]
        for info in pending:
            info.wait_for_publish(max(0.0, deadline - time.monotonic()))
            if info.rc is not MQTTErrorCode.MQTT_ERR_SUCCESS or not info.is_published():
                message = f"broker {address}: took no message within {timeout_s:g} s"
                raise BrokerAwayError(message)
    except queue.Empty as error:
        message = f"broker {address}: no answer within {timeout_s:g} s; is that a broker?"
        raise BrokerAwayError(message) from error
    except (ValueError, RuntimeError) as error:
        message = f"broker {address}: {error}"
        raise BrokerAwayError(message) from error
    finally:
        client.disconnect()
        client.loop_stop()


def _topic_of(message: Ack | Desired) -> str:
    leaf = Leaf.ACK if isinstance(message, Ack) else Leaf.DESIRED
    return topic_for(message.site, message.device, leaf)
