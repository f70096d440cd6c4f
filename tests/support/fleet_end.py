"""The fleet's end of one device's wire, without a collector behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import paho.mqtt.client as mqtt

from contract.messages import (
    Ack,
    Desired,
    EpochAck,
    Inventory,
    Message,
    Rejection,
    Result,
    State,
    Tombstone,
    Update,
    decode_message,
    encode_message,
)
from contract.question import Answer, Request
from contract.topics import Leaf, topic_for

_PATIENCE_S = 120


class FleetEnd:
    """Hears everything that a device says, and says what a test tells it to."""

    def __init__(self, url: str, *, site: str, device: str) -> None:
        """Connect and subscribe to what the device writes."""
        self.site, self.device = site, device
        self.heard: list[Message] = []
        self.payloads: list[bytes] = []
        #: Acknowledge every result as soon as all before it came.
        self.is_obliging = False
        self._stored: set[int] = set()
        self._last_said: mqtt.MQTTMessageInfo | None = None
        subscribed = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=f"fleet-{device}")
        leaves = [leaf for leaf in Leaf if leaf.from_device]
        self._client.on_connect = lambda c, *_: c.subscribe(
            [(topic_for(site, device, leaf), 1) for leaf in leaves]
        )
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.on_message = self._hear
        self._client.reconnect_delay_set(1, 1)
        host, port = url.removeprefix("mqtt://").split(":")
        self._client.connect(host, int(port))
        self._client.loop_start()
        assert subscribed.wait(_PATIENCE_S)

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def results(self) -> list[Result]:
        """Results in the order heard, repetitions included."""
        return [message for message in list(self.heard) if isinstance(message, Result)]

    def tombstones(self) -> list[Tombstone]:
        """Tombstones in the order heard."""
        return [message for message in list(self.heard) if isinstance(message, Tombstone)]

    def states(self) -> list[State]:
        """Births and deaths in the order heard."""
        return [message for message in list(self.heard) if isinstance(message, State)]

    def updates(self) -> list[Update]:
        """Updates in the order heard."""
        return [message for message in list(self.heard) if isinstance(message, Update)]

    def inventories(self) -> list[Inventory]:
        """Inventories in the order heard."""
        return [message for message in list(self.heard) if isinstance(message, Inventory)]

    def answers(self) -> list[Answer]:
        """Answers in the order heard."""
        return [message for message in list(self.heard) if isinstance(message, Answer)]

    def ask(self, request: Request) -> None:
        """Publish a request, which no broker keeps."""
        topic = topic_for(self.site, self.device, Leaf.REQUEST)
        self._client.publish(topic, encode_message(request), qos=1)

    def acknowledge(
        self, epoch: str, through: int, rejected: list[Rejection] | None = None
    ) -> None:
        """Say that everything up to `through` is stored."""
        ack = EpochAck(through=through, rejected=rejected or [])
        self.say(
            Leaf.ACK,
            Ack(site=self.site, device=self.device, at=time.time(), epochs={epoch: ack}),
        )

    def desire(self, variant: str, sha256: str, generation: int) -> None:
        """Say which variant the device should serve."""
        self.say(
            Leaf.DESIRED,
            Desired(
                site=self.site,
                device=self.device,
                at=time.time(),
                generation=generation,
                variant=variant,
                sha256=sha256,
                threads=1,
                policy="test",
            ),
        )

    def say(self, leaf: Leaf, message: Message) -> None:
        """Publish a retained message."""
        self.publish(leaf, encode_message(message))

    def publish(self, leaf: Leaf, payload: bytes) -> None:
        """Publish raw bytes, retained."""
        topic = topic_for(self.site, self.device, leaf)
        self._last_said = self._client.publish(topic, payload, qos=1, retain=True)

    def await_taken(self) -> None:
        """Wait until the broker has what was said last; not for the client's own thread."""
        assert self._last_said is not None
        self._last_said.wait_for_publish(_PATIENCE_S)
        assert self._last_said.is_published()

    def await_until(self, what: str, condition: Callable[[], bool]) -> None:
        """Wait until a condition over what was heard is true."""
        deadline = time.monotonic() + _PATIENCE_S
        while not condition():
            said = [type(message).__name__ for message in self.heard]
            assert time.monotonic() < deadline, f"gave up waiting until {what}; heard {said}"
            time.sleep(0.02)

    def _hear(self, _client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        _, decoded = decode_message(message.topic, bytes(message.payload))
        self.payloads.append(bytes(message.payload))
        self.heard.append(decoded)
        if self.is_obliging and isinstance(decoded, Result | Tombstone):
            last = decoded.seq if isinstance(decoded, Result) else decoded.last_seq
            self._stored |= set(range(decoded.seq, last + 1))
            through = 0
            while through + 1 in self._stored:
                through += 1
            self.acknowledge(decoded.epoch, through)
