"""Devices that keep what is not acknowledged and send it again, as agents do."""

from __future__ import annotations

import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from contract.messages import Ack, decode_message, encode_message
from contract.topics import Leaf, topic_for
from support.measurements import make_result, make_run

_PATIENCE_S = 120
_RESEND_AFTER_S = 2.0


class Outboxes:
    """Many devices over one connection; each has results 1 to `each` to deliver.

    Broker and collectors may die meanwhile: what no acknowledgement covers is sent again.
    """

    def __init__(self, url: str, *, devices: int, each: int, name: str = "d") -> None:
        """Connect; nothing is sent yet. Brokers that outlive a test want another `name` in each."""
        self.names = [f"{name}-{number}" for number in range(devices)]
        self.each = each
        self._acked = dict.fromkeys(self.names, 0)
        self._lock = threading.Lock()
        self._connected = threading.Event()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=f"outboxes-{time.time_ns()}"
        )
        self._client.on_message = self._heard
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = self._subscribed
        self._client.reconnect_delay_set(1, 1)
        host, port = url.removeprefix("mqtt://").split(":")
        self._client.connect(host, int(port))
        self._client.loop_start()
        assert self._connected.wait(_PATIENCE_S)

    @property
    def run_ids(self) -> list[str]:
        """Ids of every run that the devices made."""
        return sorted(f"{name}-{seq}" for name in self.names for seq in range(1, self.each + 1))

    @property
    def acked(self) -> int:
        """How many results are acknowledged."""
        with self._lock:
            return sum(self._acked.values())

    def send(self, *, after: int = 0, up_to: int | None = None) -> None:
        """Send what is not acknowledged, of each device after a place and up to another."""
        with self._lock:
            through = dict(self._acked)
        for seq in range(after + 1, (up_to or self.each) + 1):
            for name in self.names:
                if seq > through[name]:
                    run = make_run(run_id=f"{name}-{seq}")
                    payload = encode_message(make_result(seq, run, device=name))
                    self._client.publish(topic_for("lab", name, Leaf.RESULT), payload, 1)

    def deliver(self, *, within_s: float) -> bool:
        """Send again and again until everything is acknowledged; whether it came to that."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            before = self.acked
            if before == len(self.names) * self.each:
                return True
            time.sleep(_RESEND_AFTER_S)
            if self.acked == before and self._client.is_connected():
                self.send()
        return False

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _subscribe(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe("edgewright/v1/lab/+/ack", 1)

    def _subscribed(
        self,
        client: mqtt.Client,
        _userdata: object,
        _message_id: int,
        reasons: list[mqtt.ReasonCode],
        _properties: object,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            # A cluster may have no leader for a while; agents try again too.
            self._subscribe(client)
        else:
            self._connected.set()

    def _heard(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        _, ack = decode_message(message.topic, bytes(message.payload))
        assert isinstance(ack, Ack)
        if ack.device in self._acked and "e-1" in ack.epochs:
            with self._lock:
                self._acked[ack.device] = ack.epochs["e-1"].through
