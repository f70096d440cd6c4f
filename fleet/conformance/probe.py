"""A client that tries things on a broker, and waits for what comes of them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from contract.access import Access
from contract.address import BrokerAddress
from fleet.conformance.finding import UnmetError
from fleet.errors import BrokerAwayError
from fleet.mqtt.client import connect_failed, make_client

_QOS = 1
_KEEPALIVE_S = 30
_LOOK_AGAIN_S = 0.01
#: More than paho's own 20, so that many are on their way at once.
_INFLIGHT = 200


class Heard(msgspec.Struct, frozen=True):
    """A message as a probe got it."""

    topic: str
    payload: bytes
    retained: bool
    qos: int
    mid: int


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """How a probe behaves as a client."""

    mqtt5: bool = False
    #: The broker begins a new session and forgets it with the connection.
    clean: bool = True
    #: Messages are acknowledged only when `acknowledge` is called.
    holds: bool = False
    #: Topic and payload of a last will.
    will: tuple[str, bytes] | None = None
    is_will_retained: bool = True
    keepalive_s: int = _KEEPALIVE_S
    #: MQTT 5: how long a session that is not clean outlives the connection.
    session_expiry_s: int = 60
    #: MQTT 5: how many unacknowledged messages it takes.
    receive_maximum: int | None = None


class Probe:
    """One connection; every wait ends after `timeout_s`.

    Raises:
        BrokerAwayError: no connection could be made, or it ended before an answer.
    """

    def __init__(
        self,
        address: BrokerAddress,
        access: Access,
        *,
        client_id: str,
        habits: Habits,
        timeout_s: float,
    ) -> None:
        self.client_id = client_id
        self.heard: list[Heard] = []
        #: How the broker answered; None while it has not.
        self.reason: Any = None
        self.session_present = False
        #: MQTT 5: what the broker says of itself.
        self.properties: dict[str, object] = {}
        self.is_lost = False
        self._timeout_s = timeout_s
        self._granted: list[bool] | None = None
        self._lock = threading.Lock()
        self._client = make_client(
            address,
            access,
            client_id=client_id,
            clean=habits.clean,
            reconnects=False,
            protocol=MQTTProtocolVersion.MQTTv5 if habits.mqtt5 else MQTTProtocolVersion.MQTTv311,
        )
        self._client.manual_ack_set(habits.holds)
        self._client.max_inflight_messages_set(_INFLIGHT)
        self._client.on_connect = self._connected
        self._client.on_subscribe = self._subscribed
        self._client.on_disconnect = self._disconnected
        self._client.on_message = self._received
        if habits.will is not None:
            self._client.will_set(*habits.will, qos=_QOS, retain=habits.is_will_retained)
        self._connect(address, habits)

    def subscribe(self, *filters: str) -> list[bool]:
        """Whether the broker granted each filter; to end the connection is to grant none."""
        self._granted = None
        self._client.subscribe([(one, _QOS) for one in filters])
        self.wait("an answer", lambda: self._granted is not None or self.is_lost)
        return self._granted or [False] * len(filters)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, **options: int) -> None:
        """Hand a message over without waiting; `options` are properties of MQTT 5."""
        properties = None
        if options:
            properties = _properties(PacketTypes.PUBLISH)
            for name, value in options.items():
                setattr(properties, name, value)
        self._client.publish(topic, payload, _QOS, retain=retain, properties=properties)

    def deliver(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message over, and wait until the broker has it."""
        done = self._client.publish(topic, payload, _QOS, retain=retain)
        self.wait("an acknowledgement (PUBACK)", done.is_published)

    def wait(self, expected: str, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds.

        Raises:
            UnmetError: it did not in time.
        """
        if not self.comes(condition):
            lost = ", and the broker ended the connection" if self.is_lost else ""
            raise UnmetError(expected, f"nothing within {self._timeout_s:g} s{lost}")

    def comes(self, condition: Callable[[], bool], *, within_s: float | None = None) -> bool:
        """Whether a condition holds in time."""
        deadline = time.monotonic() + (self._timeout_s if within_s is None else within_s)
        while not condition():
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_AGAIN_S)
        return True

    def payloads(self, topic: str | None = None) -> list[bytes]:
        """What was heard so far, of one topic or of all."""
        return [one.payload for one in list(self.heard) if topic in {None, one.topic}]

    def acknowledge(self) -> None:
        """Acknowledge what was heard, where the probe holds that back."""
        for one in list(self.heard):
            self._client.ack(one.mid, one.qos)

    def vanish(self) -> None:
        """End the connection without a farewell, as a killed process does."""
        connection = self._client.socket()
        if isinstance(connection, socket.socket):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._client.loop_stop()

    def fall_silent(self) -> None:
        """Leave the connection open and say nothing more, as after a power cut."""
        self._client.loop_stop()

    def close(self) -> None:
        """Disconnect with a farewell."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connect(self, address: BrokerAddress, habits: Habits) -> None:
        try:
            if habits.mqtt5:
                properties = _properties(PacketTypes.CONNECT)
                properties.SessionExpiryInterval = 0 if habits.clean else habits.session_expiry_s
                if habits.receive_maximum is not None:
                    properties.ReceiveMaximum = habits.receive_maximum
                self._client.connect(
                    address.host,
                    address.port,
                    habits.keepalive_s,
                    clean_start=habits.clean,
                    properties=properties,
                )
            else:
                self._client.connect(address.host, address.port, habits.keepalive_s)
        except OSError as error:
            raise BrokerAwayError(connect_failed(address, error)) from error
        self._client.loop_start()
        self.comes(lambda: self.reason is not None or self.is_lost)
        if self.reason is None:
            ended = "the connection was ended without one; is it MQTT there"
            ended += "?" if address.tls else ", and without TLS? (mqtts://HOST with)"
            message = f"broker {address}: no answer to CONNECT: "
            message += ended if self.is_lost else f"nothing within {self._timeout_s:g} s"
            self.vanish()
            raise BrokerAwayError(message)
        if self.reason.is_failure:
            self.vanish()
            message = f"broker {address}: refused: {self.reason}"
            raise BrokerAwayError(message)

    def _connected(
        self,
        _client: mqtt.Client,
        _userdata: object,
        flags: mqtt.ConnectFlags,
        reason: object,
        properties: Properties | None,
    ) -> None:
        self.session_present = flags.session_present
        if properties is not None:
            self.properties = properties.json()  # type: ignore[no-untyped-call]
        self.reason = reason

    def _subscribed(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _message_id: int,
        reasons: list[Any],
        _properties: object,
    ) -> None:
        self._granted = [not reason.is_failure for reason in reasons]

    def _disconnected(self, *_: object) -> None:
        self.is_lost = True

    def _received(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        self.heard.append(
            Heard(message.topic, bytes(message.payload), message.retain, message.qos, message.mid)
        )


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call] # paho ships them so
