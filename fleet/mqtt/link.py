"""The fleet's connection to a broker: paho-mqtt, QoS 1, MQTT 3.1.1 unless it is shared."""

from __future__ import annotations

import enum
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTProtocolVersion

from contract.access import Access, client_id_of
from contract.address import BrokerAddress
from contract.errors import AccessError
from contract.messages import Ack, Desired
from contract.topics import Leaf, device_filters, topic_for, topics_of_all
from edgewright.rate_limit import rate_limited_logger
from fleet.errors import BrokerAwayError
from fleet.mqtt.client import KEEPALIVE_S, client_id_for, connect_failed, make_client, refused
from fleet.mqtt.delivery import Delivery, Subscribed
from fleet.mqtt.inbox import Inbox
from fleet.mqtt.short_connection import end_session
from fleet.mqtt.takeover import TakeoverDetector

_log = rate_limited_logger(__name__)

_QOS = 1
_SHARE = "$share/edgewright"
_RECONNECT_MIN_S = 1
_RECONNECT_MAX_S = 15
_PUT_PATIENCE_S = 0.5
#: A broker may refuse to subscribe for a while: a NATS server does while its cluster has no leader.
_SUBSCRIBE_AGAIN_S = 2.0
_END_PATIENCE_S = 5.0
_TAKEN_OVER = (
    "the broker ends this connection again and again although it is there: most likely another "
    "client has the same id. Is a second 'serve' on this store or on a copy of it? Stop it; the "
    "broker's log tells the other client's address"
)


class Session(enum.Enum):
    """What the broker does for the collector's subscription."""

    #: It keeps what arrives while the collector is away.
    KEPT = "kept"
    #: It forgets the subscription with the connection.
    CLEAN = "clean"
    #: It gives each result to one of the collectors that are there (MQTT 5). What a dying one
    #: held is lost to it; devices send again what was not acknowledged.
    SHARED = "shared"


class Link:
    """A subscribed connection that comes back by itself; feed `receive` in a loop.

    The password is read at each connection, and the client id follows from it: no device can end
    the connection by taking its id, and a changed password needs no restart.

    Args:
        address: of the broker.
        access: what proves this account.
        client_name: what the client id begins with.
        session: what the broker does for the subscription.
        topics: what to subscribe to; all that devices say, where none are given.
        former_ids: client ids under which the broker may still keep a session of ours; it is
            ended, or messages would queue up there for nobody.
        inbox: takes what comes.
        clock: of the times of receipt.

    Raises:
        BrokerAwayError: a file of the access cannot be read.
    """

    def __init__(
        self,
        address: BrokerAddress,
        *,
        access: Access,
        client_name: str,
        session: Session,
        topics: Sequence[str] = (),
        former_ids: Sequence[str] = (),
        inbox: Inbox | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._address, self._access = address, access
        self._client_name, self._session = client_name, session
        self._client_id = client_id_for(client_name, access)
        self._former_ids = set(former_ids)
        self._kept_client_id: str | None = None
        self._takeovers = TakeoverDetector()
        self._clock = clock
        self._topics = list(topics) or _filters(session)
        #: Why there is no connection, where the last try failed.
        self.problem: str | None = None
        self._inbox = inbox or Inbox()
        self._closing = threading.Event()
        #: When to subscribe once more, by the monotonic clock; None: it is granted, or not yet due.
        self._subscribe_at: float | None = None
        self._client = make_client(
            address,
            access,
            client_id=self._client_id,
            clean=session is not Session.KEPT,
            protocol=MQTTProtocolVersion.MQTTv5
            if session is Session.SHARED
            else MQTTProtocolVersion.MQTTv311,
        )
        self._client.reconnect_delay_set(_RECONNECT_MIN_S, _RECONNECT_MAX_S)
        self._client.on_pre_connect = self._on_pre_connect
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
        self.keep_subscribed()
        return self._inbox.take(at_most=at_most, wait_s=wait_s)

    def keep_subscribed(self) -> None:
        """Subscribe once more where the broker refused it a while ago."""
        due = self._subscribe_at
        if due is not None and time.monotonic() >= due:
            self._subscribe_at = None
            self._client.subscribe([(topic, _QOS) for topic in self._topics])

    @property
    def is_connected(self) -> bool:
        """Whether what is published now goes to the broker."""
        return self._client.is_connected()

    @property
    def kept_client_id(self) -> str | None:
        """The client id under which alone the broker keeps a session of ours.

        None where it keeps none, or one of before could not be ended yet: whoever remembers the id
        must not forget the one of before.
        """
        return None if self._former_ids else self._kept_client_id

    def publish(self, topic: str, payload: bytes) -> None:
        """Hand a retained message to the broker; skipped while the broker is away."""
        if self._client.is_connected():
            self._client.publish(topic, payload, _QOS, retain=True)

    def settle(self, tickets: Sequence[int]) -> None:
        """Do nothing: a broker has its acknowledgement at once, for only the fleet's counts."""

    def close(self) -> None:
        """Disconnect; what was received before stays in `receive`."""
        self._closing.set()
        self._client.disconnect()
        self._client.loop_stop()

    def _on_pre_connect(self, client: mqtt.Client, _userdata: object) -> None:
        try:
            password = self._access.password()
        except AccessError as error:
            # The one before may still hold; where it does not, the broker refuses it.
            _log.error("password unreadable broker=%s reason=%s", self._address, error)
            return
        self._client_id = client_id_of(self._client_name, password)
        # paho (2.2) has no public way to connect anew with another id.
        client._client_id = self._client_id.encode()  # noqa: SLF001 - see above
        client.username_pw_set(self._access.username, password)

    def _on_connect(
        self,
        client: mqtt.Client,
        _userdata: object,
        _flags: object,
        reason: Any,  # noqa: ANN401 - paho's ReasonCode ships without annotations
        _properties: object,
    ) -> None:
        if reason.is_failure:
            self._takeovers.note_failure()
            self.problem = refused(reason)
            _log.error("broker refused broker=%s reason=%s", self._address, self.problem)
            return
        self.problem = None
        self._subscribe_at = None
        _log.info("connected broker=%s", self._address)
        client.subscribe([(topic, _QOS) for topic in self._topics])
        if self._takeovers.note_accepted(time.monotonic()):
            _log.warning("%s broker=%s name=%s", _TAKEN_OVER, self._address, self._client_name)
        self._end_former_sessions()
        self._kept_client_id = self._client_id if self._session is Session.KEPT else None

    def _end_former_sessions(self) -> None:
        """End what the broker keeps under other ids: of before a new password, or another way."""
        if self._kept_client_id is not None:
            self._former_ids.add(self._kept_client_id)
        for client_id in sorted(self._former_ids - {self._client_id}):
            try:
                end_session(self._address, self._access, client_id, timeout_s=_END_PATIENCE_S)
            except BrokerAwayError as error:
                _log.warning("former session not ended yet reason=%s", error)
            else:
                _log.debug("no session is left under a former client id broker=%s", self._address)
                self._former_ids.discard(client_id)
        self._former_ids.discard(self._client_id)

    def _on_connect_fail(self, _client: mqtt.Client, _userdata: object) -> None:
        self._takeovers.note_failure()
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
        self._takeovers.note_end(time.monotonic())
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
            self._subscribe_at = time.monotonic() + _SUBSCRIBE_AGAIN_S
            return
        self.problem = None
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
        while not self._inbox.put(item, wait_s=_PUT_PATIENCE_S) and not self._closing.is_set():
            pass


def _filters(session: Session) -> list[str]:
    """All that devices say; shared sessions share results alone.

    Brokers send no retained message to a shared subscription, and what else devices say is
    retained: each collector hears all of that.
    """
    results = topics_of_all(Leaf.RESULT)
    if session is not Session.SHARED:
        return device_filters()
    return [f"{_SHARE}/{one}" if one == results else one for one in device_filters()]


def topic_of(message: Ack | Desired) -> str:
    """Where a message of the fleet's travels."""
    leaf = Leaf.ACK if isinstance(message, Ack) else Leaf.DESIRED
    return topic_for(message.site, message.device, leaf)
