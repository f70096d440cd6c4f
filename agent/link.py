"""One connection to the broker: a thin seam around paho-mqtt, driven by its caller."""

from __future__ import annotations

import select
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

from agent.bell import Bell
from agent.errors import LinkError
from contract.access import Access, client_id_of, why_tls_failed
from contract.address import BrokerAddress
from contract.errors import AccessError

_KEEPALIVE_SECONDS = 30
_ANSWER_SECONDS = 10.0
_STEP_SECONDS = 0.1
#: At least once; the store knows duplicates (DESIGN section 4).
_QOS = 1
#: A NATS cluster replicates a consumer for each subscription at QoS 1: 400 devices with one each
#: did not get in, and with none they did. What a broker loses comes again (`Courier`).
_SUBSCRIPTION_QOS = 0
_WHAT_TO_DO = (
    "expected the username and password of an enrolled device; on the fleet's server, "
    "'edgewright-fleet enroll SITE/DEVICE' makes new ones"
)


class Hear(Protocol):
    """Takes a message; `is_retained` says that the broker had kept it for who comes late."""

    def __call__(self, topic: str, payload: bytes, *, is_retained: bool) -> None:
        """Take it."""


class Link:
    """An open connection; made by `Link.open`, used from one thread.

    It never connects again by itself: every connection has a last will of its own, so the
    next one is another link.
    """

    def __init__(self, client: paho.Client, address: BrokerAddress) -> None:
        self._client = client
        self._address = address
        self._refusal: str | None = None
        self._is_accepted = False
        self._subscribed: set[int] = set()
        self._on_message: Hear | None = None
        client.on_connect = self._connected
        client.on_subscribe = self._subscribe_answered
        client.on_publish = self._published
        client.on_message = self._received
        self._delivered: set[int] = set()

    @classmethod
    def open(
        cls,
        address: BrokerAddress,
        *,
        access: Access,
        client_name: str,
        will_topic: str,
        will: bytes,
        on_message: Hear,
        should_stop: Callable[[], bool],
    ) -> Link:
        """Connect and wait until the broker accepts.

        Args:
            address: where the broker is.
            access: how it and this device prove themselves to each other; read anew, so
                that a device that was enrolled again needs no restart.
            client_name: what the client id begins with; the broker lets only one
                connection have an id.
            will_topic: where the broker publishes the last will, retained.
            will: what it says.
            on_message: called from within `step`.
            should_stop: asked while waiting.

        Raises:
            LinkError: unreachable, not to be trusted, refused, or no answer in time.
        """
        try:
            password = access.password()
            context = access.tls_context() if address.tls else None
        except AccessError as error:
            raise LinkError(str(error)) from error
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id_of(client_name, password),
            clean_session=True,
            protocol=paho.MQTTv311,
            reconnect_on_failure=False,
        )
        client.will_set(will_topic, will, qos=_QOS, retain=True)
        client.connect_timeout = _ANSWER_SECONDS
        link = cls(client, address)
        link._on_message = on_message
        if context is not None:
            client.tls_set_context(context)
        client.username_pw_set(access.username, password)
        try:
            client.connect(address.host, address.port, keepalive=_KEEPALIVE_SECONDS)
        except ssl.SSLError as error:
            raise LinkError(why_tls_failed(address, error)) from error
        except (OSError, ValueError) as error:
            message = f"{address}: {error}; is the broker running, and the address right?"
            raise LinkError(message) from error
        try:
            link._await(lambda: link._is_accepted, should_stop)
        except LinkError:
            link._drop()
            raise
        return link

    def __enter__(self) -> Self:
        """Return the link itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Drop the connection without a farewell where it was not closed before."""
        self._drop()

    def _drop(self) -> None:
        # Without DISCONNECT, the broker publishes the last will.
        socket = self._client.socket()
        if socket is not None:
            socket.close()

    def subscribe(self, topics: Sequence[str], *, should_stop: Callable[[], bool]) -> None:
        """Subscribe and wait until the broker agrees; retained messages follow at once.

        Where they are subscribed to already, they come again.

        Raises:
            LinkError: lost, refused, or no answer in time.
        """
        code, mid = self._client.subscribe([(topic, _SUBSCRIPTION_QOS) for topic in topics])
        self._check(code)
        self._await(lambda: mid in self._subscribed, should_stop)

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> int:
        """Hand a message to the connection; returns its number for `take_delivered`.

        Raises:
            LinkError: the connection is lost.
        """
        info = self._client.publish(topic, payload, qos=_QOS, retain=retain)
        self._check(info.rc)
        return info.mid

    def step(self, timeout_s: float = _STEP_SECONDS, *, bell: Bell | None = None) -> None:
        """Do the network's work once something arrives, `bell` rings, or the time is up.

        paho sends its keepalive from within: it wants a step every few seconds.

        Raises:
            LinkError: the connection is lost, or the broker refused it.
        """
        try:
            if bell is not None:
                self._sleep(timeout_s, bell)
            code = self._client.loop(0.0 if bell else timeout_s)
        except (OSError, ValueError, struct.error) as error:
            message = f"{self._address}: {error}; the broker sent what is no MQTT"
            raise LinkError(message) from error
        # Before the code, which says no more than that the connection is over.
        if self._refusal is not None:
            message = f"{self._address}: refused: {self._refusal}"
            raise LinkError(message)
        self._check(code)

    def _sleep(self, timeout_s: float, bell: Bell) -> None:
        line: Any = self._client.socket()
        # A TLS connection may hold bytes that were read and decrypted already.
        if line is None or getattr(line, "pending", int)():
            return
        writing = [line] if self._client.want_write() else []
        select.select([line, bell], writing, [], timeout_s)
        bell.take()

    def take_delivered(self) -> set[int]:
        """Numbers of messages that the broker has since acknowledged; it has them, no more."""
        taken, self._delivered = self._delivered, set()
        return taken

    def close(self) -> None:
        """Say farewell, so that the broker keeps the last will to itself."""
        self._client.disconnect()

    def _await(self, is_done: Callable[[], bool], should_stop: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _ANSWER_SECONDS
        while not is_done():
            if should_stop():
                message = f"{self._address}: stopped while connecting"
                raise LinkError(message)
            if time.monotonic() > deadline:
                message = f"{self._address}: no answer within {_ANSWER_SECONDS:g} s; a broker?"
                raise LinkError(message)
            self.step()

    def _check(self, code: MQTTErrorCode) -> None:
        if code != paho.MQTT_ERR_SUCCESS:
            message = f"{self._address}: {paho.error_string(code)}"
            if not self._is_accepted and not self._address.tls:
                message += " It hung up before it answered; does that port want mqtts://?"
            raise LinkError(message)

    def _connected(
        self,
        _client: paho.Client,
        _userdata: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: object,
    ) -> None:
        if reason.is_failure:
            self._refusal = f"{reason}; {_WHAT_TO_DO}"
        else:
            self._is_accepted = True

    def _subscribe_answered(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        reasons: list[ReasonCode],
        _properties: object,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._refusal = "subscription not allowed"
        self._subscribed.add(mid)

    def _published(
        self,
        _client: paho.Client,
        _userdata: object,
        mid: int,
        _reason: ReasonCode,
        _properties: object,
    ) -> None:
        self._delivered.add(mid)

    def _received(
        self,
        _client: paho.Client,
        _userdata: object,
        message: paho.MQTTMessage,
    ) -> None:
        if self._on_message is not None:
            payload = bytes(message.payload)
            self._on_message(message.topic, payload, is_retained=message.retain)
