"""Devices in one: it publishes their results over one connection."""

from __future__ import annotations

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.lib.result_stream import results
from contract.address import parse_broker_url

_ENDLESS = 1 << 40
#: Sent before the broker has acknowledged the first of them.
_IN_FLIGHT = 1000


class ResultPublisher:
    """Publishes results of some devices in turn, each once, as many as it is told to.

    Args:
        broker_url: where to.
        devices: how many.
    """

    def __init__(self, broker_url: str, devices: int) -> None:
        self.published = 0
        self._address = parse_broker_url(broker_url)
        self._stream = results(devices, _ENDLESS)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="devices")
        self._client.max_inflight_messages_set(_IN_FLIGHT)
        self._last: mqtt.MQTTMessageInfo | None = None

    def open(self) -> None:
        """Connect."""
        self._client.connect(self._address.host, self._address.port)
        self._client.loop_start()

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, count: int) -> None:
        """Publish the next so many; none for a negative count."""
        for _ in range(count):
            topic, payload = next(self._stream)
            self._last = self._client.publish(topic, payload, 1)
            self.published += 1

    def finish(self, timeout_s: float) -> None:
        """Wait until the broker has all that was published."""
        if self._last is not None:
            self._last.wait_for_publish(timeout_s)
