"""A device's end of the wire."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import paho.mqtt.client as mqtt

from contract.messages import Ack, Inventory, Result, State, Update, decode_message, encode_message
from contract.topics import Leaf, topic_for

PATIENCE_S = 120


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether `condition` comes true within the patience of the tests."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


class DeviceClient:
    """A device's end of the wire, without an agent behind it."""

    def __init__(self, url: str, site: str, device: str) -> None:
        """Connect and listen for this device's acks and desired states."""
        self.site, self.device = site, device
        self.heard: list[tuple[str, bytes, bool]] = []
        subscribed = threading.Event()
        self._client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=f"test-{site}-{device}-{time.time_ns()}"
        )
        self._client.on_message = lambda _c, _u, m: self.heard.append(
            (m.topic, m.payload, m.retain)
        )
        self._client.on_connect = lambda c, *_: c.subscribe(
            [(topic_for(site, device, leaf), 1) for leaf in (Leaf.ACK, Leaf.DESIRED)]
        )
        self._client.on_subscribe = lambda *_: subscribed.set()
        self._client.reconnect_delay_set(1, 1)
        host, port = url.removeprefix("mqtt://").split(":")
        self._client.connect(host, int(port))
        self._client.loop_start()
        assert subscribed.wait(PATIENCE_S)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish raw bytes at QoS 1 without waiting."""
        self._client.publish(topic, payload, 1, retain=retain)

    def send(self, message: Result | Inventory | State | Update, leaf: Leaf = Leaf.RESULT) -> None:
        """Publish a message of the contract."""
        self.publish(
            topic_for(self.site, self.device, leaf), encode_message(message), retain=leaf.retained
        )

    def acks(self) -> list[Ack]:
        """Every ack heard so far."""
        found = [decode_message(t, p)[1] for t, p, _ in self.heard if t.endswith("/ack")]
        return [one for one in found if isinstance(one, Ack)]

    def is_acked(self, through: int, epoch: str = "e-1") -> bool:
        """Whether the latest ack reaches `through`."""
        acks = self.acks()
        return bool(acks) and epoch in acks[-1].epochs and acks[-1].epochs[epoch].through >= through

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()
