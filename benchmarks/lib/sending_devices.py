"""Devices that send results until they are acknowledged, and malformed messages among them."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.lib.malformed import Message
from benchmarks.lib.result_stream import EPOCH, SITE, result_of
from contract.access import Access, client_id_of, client_name_of
from contract.address import BrokerAddress
from contract.errors import ContractError
from contract.messages import Ack, decode_message
from contract.topics import Leaf, topic_for

#: As an agent has it.
_WINDOW = 8
_RESEND_AFTER_S = 2.0
_STEP_S = 0.005


@dataclass(frozen=True, kw_only=True)
class Account:
    """A device and what it needs to connect."""

    device: str
    access: Access


class SendingDevice:
    """One device: an outbox of results, kept until acknowledged, and malformed messages."""

    def __init__(
        self,
        account: Account,
        address: BrokerAddress,
        *,
        results: int,
        malformed: Iterable[Message],
    ) -> None:
        self.name = account.device
        self.results = results
        self.acked = 0
        self.resends = 0
        self._malformed = deque(malformed)
        self._malformed_every = max(1, len(self._malformed) // max(1, results))
        self._due_at: dict[int, float] = {}
        self._lock = threading.Lock()
        self._is_subscribed = False
        password = account.access.password()
        self._client = mqtt.Client(
            CallbackAPIVersion.VERSION2,
            client_id=client_id_of(client_name_of(SITE, self.name), password),
        )
        self._client.username_pw_set(account.access.username, password)
        if address.tls:
            self._client.tls_set_context(account.access.tls_context())
        self._client.reconnect_delay_set(1, 2)
        self._client.max_queued_messages_set(0)
        self._client.on_connect = self._connected
        self._client.on_disconnect = self._lost
        self._client.on_subscribe = self._subscribed
        self._client.on_message = self._heard
        self._client.connect_async(address.host, address.port)
        self._client.loop_start()

    @property
    def is_done(self) -> bool:
        """Whether all results are acknowledged and all malformed messages handed over."""
        with self._lock:
            return self.acked == self.results and not self._malformed

    def say(self, malformed: Iterable[Message]) -> None:
        """Send further malformed messages."""
        with self._lock:
            self._malformed.extend(malformed)

    def step(self) -> None:
        """Send what is due, and a malformed message or some for each new result."""
        if not self._is_subscribed:
            return
        now = time.monotonic()
        with self._lock:
            first = self.acked + 1
            last = min(self.results, self.acked + _WINDOW)
            due = [seq for seq in range(first, last + 1) if self._due_at.get(seq, 0.0) <= now]
            new = sum(seq not in self._due_at for seq in due)
            count = _WINDOW if first > self.results else new * self._malformed_every
            odd = [self._malformed.popleft() for _ in range(min(count, len(self._malformed)))]
            self.resends += len(due) - new
            self._due_at |= dict.fromkeys(due, now + _RESEND_AFTER_S)
        for seq in due:
            self._client.publish(*result_of(self.name, seq), 1)
        for topic, payload in odd:
            self._client.publish(topic, payload, 1)

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def _connected(self, client: mqtt.Client, *_: object) -> None:
        client.subscribe(topic_for(SITE, self.name, Leaf.ACK), 1)

    def _lost(self, *_: object) -> None:
        self._is_subscribed = False

    def _subscribed(self, *_: object) -> None:
        self._is_subscribed = True

    def _heard(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        try:
            _, ack = decode_message(message.topic, bytes(message.payload))
        except ContractError:
            return
        if isinstance(ack, Ack) and EPOCH in ack.epochs:
            with self._lock:
                self.acked = ack.epochs[EPOCH].through


class SendingDevices:
    """Many devices, driven by one thread of their own while the block lasts."""

    def __init__(self, devices: Iterable[SendingDevice]) -> None:
        self.devices = list(devices)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._drive, name="devices", daemon=True)

    def __enter__(self) -> Self:
        """Begin to send."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Disconnect all of them."""
        self._ending.set()
        self._thread.join()
        for device in self.devices:
            device.close()

    @property
    def acked(self) -> int:
        """How many results are acknowledged."""
        return sum(device.acked for device in self.devices)

    @property
    def resends(self) -> int:
        """How often a result was sent again."""
        return sum(device.resends for device in self.devices)

    @property
    def are_done(self) -> bool:
        """Whether each of them is."""
        return all(device.is_done for device in self.devices)

    def _drive(self) -> None:
        while not self._ending.wait(_STEP_S):
            for device in self.devices:
                device.step()
