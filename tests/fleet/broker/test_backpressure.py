"""Clients that send more than is taken, on the embedded broker, by counts and by order."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import paho.mqtt.client as mqtt
import pytest

from contract.address import BrokerAddress
from contract.topics import Leaf, topic_for, topics_of_all
from fleet.broker.client_connection import MOST_IN_FLIGHT
from fleet.broker.delivery_queue import MOST_MESSAGES
from fleet.broker.embedded import EmbeddedBroker
from fleet.broker.flow_control import MOST_WAITING_BYTES, MOST_WAITING_MESSAGES
from support.devices import PATIENCE_S, eventually

FLOODS, EACH = 5, 600
RESULTS = topics_of_all(Leaf.RESULT)
Connect = Callable[..., "Client"]


class Client:
    """A paho client that publishes without a limit, and acknowledges only when told to."""

    def __init__(self, address: BrokerAddress, name: str, topic_filter: str | None = None) -> None:
        self.heard: list[mqtt.MQTTMessage] = []
        self.answered = 0
        self._acknowledges = False
        ready = threading.Event()
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, manual_ack=True)
        self.client.max_inflight_messages_set(0)
        self.client.on_message = self._hear
        self.client.on_publish = self._count
        self.client.on_subscribe = lambda *_: ready.set()
        self.client.on_connect = lambda client, *_: (
            client.subscribe(topic_filter, 1) if topic_filter else ready.set()
        )
        self.client.connect(address.host, address.port)
        self.client.loop_start()
        assert ready.wait(PATIENCE_S)

    def send(self, device: str, *payloads: str, leaf: Leaf = Leaf.RESULT) -> None:
        for payload in payloads:
            self.client.publish(topic_for("lab", device, leaf), payload, 1)

    def acknowledge(self) -> None:
        """Acknowledge what was heard, and everything from now on."""
        self._acknowledges = True
        for message in list(self.heard):
            self.client.ack(message.mid, 1)

    def _hear(self, client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        self.heard.append(message)
        if self._acknowledges:
            client.ack(message.mid, 1)

    def _count(self, *_: object) -> None:
        self.answered += 1


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(BrokerAddress("127.0.0.1", 0)) as running:
        yield running


@pytest.fixture
def join(broker: EmbeddedBroker) -> Iterator[Connect]:
    """Connect clients; all are disconnected afterwards."""
    with contextlib.ExitStack() as stack:

        def connect(name: str, topic_filter: str | None = None) -> Client:
            made = Client(broker.address, name, topic_filter)
            stack.callback(made.client.loop_stop)
            stack.callback(made.client.disconnect)
            return made

        yield connect


def test_floods_wait_for_a_collector_and_a_quiet_device_does_not_wait_for_them(
    broker: EmbeddedBroker, join: Connect
) -> None:
    collector = join("collector", RESULTS)
    floods = [join(f"flood-{number}") for number in range(FLOODS)]
    for number, flood in enumerate(floods):
        flood.send(f"flood-{number}", *(f"{seq} {'x' * 1000}" for seq in range(EACH)))
    # It has what it may have unacknowledged; who sent more is answered no more, and not read.
    assert eventually(lambda: len(collector.heard) == MOST_IN_FLIGHT)
    assert eventually(lambda: broker.flow.held_publishers == FLOODS)
    assert eventually(lambda: sum(one.answered for one in floods) == MOST_IN_FLIGHT)
    assert broker.flow.waiting_messages == FLOODS * MOST_WAITING_MESSAGES
    assert broker.flow.waiting_bytes <= FLOODS * 2 * MOST_WAITING_BYTES
    quiet = join("quiet")
    quiet.send("quiet", "result")
    assert eventually(lambda: broker.flow.waiting_messages == FLOODS * MOST_WAITING_MESSAGES + 1)
    collector.acknowledge()
    assert eventually(lambda: len(collector.heard) == FLOODS * EACH + 1)
    topics = [message.topic for message in collector.heard]
    assert topics.index(topic_for("lab", "quiet", Leaf.RESULT)) <= MOST_IN_FLIGHT + FLOODS
    for number in range(FLOODS):
        topic = topic_for("lab", f"flood-{number}", Leaf.RESULT)
        numbers = [int(one.payload.split()[0]) for one in collector.heard if one.topic == topic]
        assert numbers == list(range(EACH))
    assert eventually(lambda: sum(one.answered for one in floods) == FLOODS * EACH)
    assert (broker.flow.waiting_messages, broker.flow.waiting_bytes) == (0, 0)


def test_nobody_waits_for_a_device_that_takes_nothing_and_the_latest_reaches_it(
    join: Connect,
) -> None:
    device = join("device", topic_for("lab", "device", Leaf.ACK))
    fleet = join("fleet")
    count = 2 * (MOST_IN_FLIGHT + MOST_MESSAGES)
    fleet.send("device", *map(str, range(count)), leaf=Leaf.ACK)
    assert eventually(lambda: fleet.answered == count)
    device.acknowledge()
    assert eventually(lambda: device.heard[-1].payload == str(count - 1).encode())
    numbers = [int(message.payload) for message in device.heard]
    assert numbers == sorted(numbers)
    assert MOST_MESSAGES <= len(numbers) <= MOST_IN_FLIGHT + MOST_MESSAGES


def test_a_collector_that_goes_holds_nobody_up(broker: EmbeddedBroker, join: Connect) -> None:
    collector, flood = join("collector", RESULTS), join("flood")
    flood.send("flood", *map(str, range(2 * MOST_IN_FLIGHT)))
    assert eventually(lambda: broker.flow.held_publishers == 1)
    collector.client.disconnect()
    assert eventually(lambda: flood.answered == 2 * MOST_IN_FLIGHT)
    assert broker.flow.waiting_messages == 0


def test_a_publisher_that_is_held_up_can_connect_anew(
    broker: EmbeddedBroker, join: Connect
) -> None:
    join("collector", RESULTS)
    flood = join("flood")
    flood.send("flood", *map(str, range(2 * MOST_IN_FLIGHT)))
    assert eventually(lambda: broker.flow.held_publishers == 1)
    again = join("flood")
    assert again.client.is_connected()
