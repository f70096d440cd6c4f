"""One MQTT connection that carries one device or many, driven by its caller.

paho's own thread for each connection would be thousands of threads; here one loop reads and
writes all of them when the operating system says that they are ready.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MQTTErrorCode

from contract.access import Access
from contract.address import BrokerAddress
from contract.errors import ContractError
from contract.messages import Ack, Desired, Message, Presence, decode_message
from contract.topics import Leaf
from fleet.errors import BrokerAwayError
from fleet.mqtt.client import KEEPALIVE_S, connect_failed, make_client
from fleet.simulating.box import Parcel, SimulatedDevice

_QOS = 1
#: As agents have it.
_SUBSCRIPTION_QOS = 0
_HEARD = (Leaf.ACK, Leaf.DESIRED)
#: Filters of one SUBSCRIBE: a packet of some kilobytes.
_DEVICES_A_SUBSCRIPTION = 50
#: Results that one device, and one connection, has on the way to the broker: agents have 8.
_WINDOW, _LARGEST_WINDOW = 8, 400
#: A broker that does not answer within this is as good as away.
_ANSWER_S = 15.0


class Carrier:
    """A connection that is opened, lost and opened again.

    Args:
        address: where the broker is.
        access: how to get in.
        client_id: the same at every connection.
        devices: whom it carries; the last will is of the first.
        selector: told which socket to watch, with this carrier as its data.
        hear: takes what the fleet says to a device.
        on_sent: told of every result that went out.
    """

    def __init__(
        self,
        address: BrokerAddress,
        access: Access,
        client_id: str,
        devices: Sequence[SimulatedDevice],
        *,
        selector: selectors.BaseSelector,
        hear: Callable[[SimulatedDevice, Message], None],
        on_sent: Callable[[SimulatedDevice, int, Parcel], None],
    ) -> None:
        self.devices = list(devices)
        #: Of these, who is away; they are let aboard again by `let_aboard`.
        self.away: set[str] = set()
        #: When to connect the next time, by the clock that never jumps; None while connected.
        self.due_s: float | None = 0.0
        self.failures = 0
        #: Why the last connection could not be made or ended.
        self.problem: str | None = None
        self._address, self._access, self._client_id = address, access, client_id
        self._selector, self._hear, self._on_sent = selector, hear, on_sent
        self._by_topic = {one.topic(leaf): one for one in devices for leaf in _HEARD}
        self._client: mqtt.Client | None = None
        self._now = 0.0
        self._asked_s = 0.0
        self._is_accepted = False
        #: Places of results that wait for room, and what is on its way to the broker.
        self._queue: deque[tuple[SimulatedDevice, int]] = deque()
        self._crowd: set[int] = set()
        #: Everything that the broker has not answered yet, results among it.
        self._unanswered: set[int] = set()
        self._is_leaving = False
        self._window = min(_WINDOW * len(self.devices), _LARGEST_WINDOW)
        self._subscribing: dict[int, list[SimulatedDevice]] = {}

    @property
    def is_busy(self) -> bool:
        """Whether something waits to be sent, and may be."""
        return self._is_accepted and bool(self._queue) and len(self._crowd) < self._window

    @property
    def is_closed(self) -> bool:
        """Whether there is no connection."""
        return self._client is None

    @property
    def is_silent(self) -> bool:
        """Whether everything that was sent is with the broker."""
        return self._client is None or not self._unanswered

    def open(self, now: float, now_s: float) -> None:
        """Connect; what follows comes by `read`. `now` is true time.

        Raises:
            BrokerAwayError: it cannot be reached or trusted, or a file cannot be read.
        """
        self.drop()
        self.problem, self.due_s = None, None
        self._now, self._asked_s = now, now_s
        client = make_client(
            self._address, self._access, client_id=self._client_id, clean=True, reconnects=False
        )
        first = self.devices[0]
        for device in self.devices:
            if device.name not in self.away:
                device.connection += 1
        will = first.state(Presence.OFFLINE, now)
        client.will_set(first.topic(Leaf.STATE), will, _QOS, retain=True)
        client.max_inflight_messages_set(0)
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_publish = self._published
        client.on_message = self._received
        client.on_socket_open = self._watch
        client.on_socket_close = self._watch_no_more
        self._client = client
        try:
            client.connect(self._address.host, self._address.port, KEEPALIVE_S)
        except OSError as error:
            self.drop()
            raise BrokerAwayError(connect_failed(self._address, error)) from error

    def send(self, device: SimulatedDevice, seq: int) -> None:
        """Send a result as soon as there is room; where there is no connection, at the next."""
        if device.is_aboard:
            self._queue.append((device, seq))

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Hand over a message that nobody waits for; dropped where there is no connection."""
        if self._client is not None and self._is_accepted:
            info = self._client.publish(topic, payload, _QOS, retain=retain)
            self._unanswered.add(info.mid)

    def let_aboard(self, devices: Sequence[SimulatedDevice]) -> None:
        """Subscribe for these; once the broker agreed, they say that they are there."""
        if self._client is None or not self._is_accepted:
            return
        for start in range(0, len(devices), _DEVICES_A_SUBSCRIPTION):
            some = list(devices[start : start + _DEVICES_A_SUBSCRIPTION])
            wanted = [(one.topic(leaf), _SUBSCRIPTION_QOS) for one in some for leaf in _HEARD]
            _, number = self._client.subscribe(wanted)
            if number is not None:
                self._subscribing[number] = some

    def let_go(self, device: SimulatedDevice, now: float) -> None:
        """A device goes, and says so; until it comes back it hears nothing.

        The connection stays subscribed for it. Coming back it subscribes anew all the same, for
        what the broker had retained meanwhile. An UNSUBSCRIBE in between could be overtaken by
        that: amqtt 0.12.1 by itself keeps the two in queues of their own.
        """
        self.away.add(device.name)
        if device.is_aboard:
            device.is_aboard = False
            self.publish(device.topic(Leaf.STATE), device.state(Presence.OFFLINE, now), retain=True)

    def write(self, now: float, now_s: float) -> None:
        """Send what there is room for. `now` is true time.

        Raises:
            BrokerAwayError: the connection is lost, or the broker does not answer.
        """
        client = self._client
        if client is None:
            return
        self._now = now
        if not self._is_accepted and now_s - self._asked_s > _ANSWER_S:
            self._lose(f"no answer within {_ANSWER_S:g} s")
        while self.is_busy:
            device, seq = self._queue.popleft()
            parcel = device.parcels.get(seq)
            # Acknowledged meanwhile, or sent again when its device comes back.
            if parcel is None or not device.is_aboard:
                continue
            info = client.publish(device.result_topic, parcel.payload, _QOS)
            self._crowd.add(info.mid)
            self._unanswered.add(info.mid)
            self._on_sent(device, seq, parcel)
        if client.want_write():
            self._check(client.loop_write())
        if self._is_leaving and self.is_silent:
            # Not earlier: what comes after a socket is closed makes the system throw away what
            # was sent before.
            self.hang_up()

    def read(self, now: float) -> None:
        """Take what came. `now` is true time.

        Raises:
            BrokerAwayError: the connection is lost, or the broker refused us.
        """
        client = self._client
        if client is None:
            return
        self._now = now
        self._check(client.loop_read())
        if self.problem is not None:
            self._lose(self.problem)
        # What TLS has read already makes no socket ready.
        while isinstance(sock := client.socket(), ssl.SSLSocket) and sock.pending():
            self._check(client.loop_read())

    def keep_alive(self) -> None:
        """Ping the broker where it is time to.

        Raises:
            BrokerAwayError: the broker did not answer the last ping.
        """
        if self._client is not None:
            self._check(self._client.loop_misc())

    def drop(self) -> None:
        """Break the connection as a power cut does: nobody says anything."""
        client, self._client = self._client, None
        self._is_accepted = False
        for device in self.devices:
            device.is_aboard = False
        self._queue.clear()
        self._crowd.clear()
        self._unanswered.clear()
        self._is_leaving = False
        self._subscribing.clear()
        if client is None:
            return
        for callback in ("on_connect", "on_subscribe", "on_publish", "on_message"):
            setattr(client, callback, None)
        sock = client.socket()
        if isinstance(sock, socket.socket):
            self._selector.unregister(sock)
            client.on_socket_close = None
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def leave(self, now: float) -> None:
        """Everybody aboard says that they go; `write` hangs up once the broker knows."""
        for device in self.devices:
            if device.is_aboard:
                self.let_go(device, now)
        self._is_leaving = True

    def hang_up(self) -> None:
        """End the connection as MQTT has it, so that no last will is published."""
        if self._client is not None:
            self._client.disconnect()
        self.drop()

    def _check(self, code: MQTTErrorCode) -> None:
        if code is not MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._lose(mqtt.error_string(code))

    def _lose(self, reason: str) -> None:
        # What the broker said is better than what paho makes of it.
        self.problem = self.problem or reason
        self.drop()
        message = f"broker {self._address}: {self.problem}"
        raise BrokerAwayError(message)

    def _watch(self, _client: object, _userdata: object, sock: Any) -> None:  # noqa: ANN401 - paho's
        self._selector.register(sock, selectors.EVENT_READ, self)

    def _watch_no_more(self, _client: object, _userdata: object, sock: Any) -> None:  # noqa: ANN401
        self._selector.unregister(sock)

    def _connected(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: object,
        reason: Any,  # noqa: ANN401 - paho's ReasonCode ships without annotations
        _properties: object,
    ) -> None:
        if reason.is_failure:
            self.problem = f"refused: {reason}"
            return
        self.problem, self._is_accepted = None, True
        self.let_aboard([one for one in self.devices if one.name not in self.away])

    def _subscribed(
        self,
        _client: mqtt.Client,
        _userdata: object,
        number: int,
        reasons: list[Any],
        _properties: object,
    ) -> None:
        devices = self._subscribing.pop(number, [])
        if any(reason.is_failure for reason in reasons):
            self.problem, self._is_accepted = "does not let us hear what the fleet says", False
            return
        self.failures = 0
        for device in devices:
            if device.name in self.away:
                continue
            device.is_aboard = True
            words = {
                Leaf.STATE: device.state(Presence.ONLINE, self._now),
                Leaf.INVENTORY: device.inventory(self._now),
                Leaf.UPDATE: device.update(self._now),
            }
            for leaf, payload in words.items():
                self.publish(device.topic(leaf), payload, retain=True)
            self._queue.extend((device, seq) for seq in device.parcels)

    def _published(self, _client: object, _userdata: object, number: int, *_: object) -> None:
        self._crowd.discard(number)
        self._unanswered.discard(number)

    def _received(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        try:
            _, body = decode_message(message.topic, bytes(message.payload))
        except ContractError:
            # Not the fleet's; what is missing then is sent again.
            return
        device = self._by_topic.get(message.topic)
        is_there = device is not None and device.name not in self.away
        if device is not None and is_there and isinstance(body, Ack | Desired):
            self._hear(device, body)
