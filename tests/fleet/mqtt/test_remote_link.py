"""A link in a process of its own, over a real broker; the process may die."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import psutil
import pytest

from contract.access import Access
from contract.address import parse_broker_url
from contract.messages import Ack, EpochAck, decode_message, encode_message
from contract.topics import Leaf, topic_for
from fleet.mqtt.delivery import Delivery, Subscribed
from fleet.mqtt.link import Session
from fleet.mqtt.remote_link import RemoteLink
from support.brokers import Mosquitto, free_port
from support.devices import DeviceClient, eventually
from support.measurements import make_result

TOPIC = topic_for("lab", "box", Leaf.RESULT)
ACK = Ack(site="lab", device="box", at=1.0, epochs={"e-1": EpochAck(through=3)})


class Heard:
    """What a link brings, gathered."""

    def __init__(self, link: RemoteLink) -> None:
        self.link = link
        self.items: list[Delivery | Subscribed] = []

    def look(self) -> None:
        self.items += self.link.receive(at_most=100, wait_s=0.02)

    @property
    def payloads(self) -> list[bytes]:
        return [one.payload for one in self.items if isinstance(one, Delivery)]

    def waits_for(self, count: int) -> bool:
        def has_all() -> bool:
            self.look()
            return len(self.payloads) >= count

        return eventually(has_all)

    def waits_for_subscriptions(self, count: int) -> bool:
        def has_all() -> bool:
            self.look()
            return sum(isinstance(one, Subscribed) for one in self.items) >= count

        return eventually(has_all)


def link_to(url: str, *, silence_s: float = 60.0) -> RemoteLink:
    return RemoteLink(
        parse_broker_url(url),
        access=Access(),
        client_name="fleet-test",
        session=Session.KEPT,
        silence_s=silence_s,
    )


@pytest.fixture
def heard(mosquitto: Mosquitto) -> Iterator[Heard]:
    """An open link that has subscribed."""
    with contextlib.closing(link_to(mosquitto.url)) as link:
        link.open()
        gathered = Heard(link)
        assert gathered.waits_for_subscriptions(1)
        yield gathered


@pytest.fixture
def device(mosquitto: Mosquitto) -> Iterator[DeviceClient]:
    """A device beside it."""
    with contextlib.closing(DeviceClient(mosquitto.url, "lab", "box")) as client:
        yield client


def link_processes() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if "fleet.mqtt.link_process" in " ".join(child.cmdline())
    ]


def test_deliveries_come_in_order_and_acks_go_out(heard: Heard, device: DeviceClient) -> None:
    sent = [encode_message(make_result(number)) for number in range(1, 301)]
    for payload in sent:
        device.publish(TOPIC, payload)
    assert heard.waits_for(len(sent))
    assert heard.payloads == sent
    heard.link.publish([ACK])
    assert eventually(lambda: ACK in device.acks())


def test_a_killed_process_is_replaced_and_the_session_goes_on(
    heard: Heard, device: DeviceClient
) -> None:
    (process,) = link_processes()
    process.kill()
    device.publish(TOPIC, b"while it was dead")
    assert heard.waits_for_subscriptions(2)
    assert heard.waits_for(1)
    assert heard.payloads[-1] == b"while it was dead"
    heard.link.publish([ACK])
    assert eventually(lambda: ACK in device.acks())


@pytest.mark.parametrize("says", [0, 5000])
def test_a_process_that_hangs_is_replaced(
    mosquitto: Mosquitto, device: DeviceClient, says: int
) -> None:
    """It is noticed by its silence, also where the pipe to it is full by then."""
    with contextlib.closing(link_to(mosquitto.url, silence_s=3.0)) as link:
        link.open()
        heard = Heard(link)
        assert heard.waits_for_subscriptions(1)
        (process,) = link_processes()
        process.suspend()
        link.publish([ACK] * says)
        device.publish(TOPIC, b"while it hung")
        assert heard.waits_for_subscriptions(2)
        assert heard.waits_for(1)
        assert process not in link_processes()
        link.publish([ACK])
        assert eventually(lambda: ACK in device.acks())


def test_a_process_to_which_nothing_comes_is_left_alone(mosquitto: Mosquitto) -> None:
    with contextlib.closing(link_to(mosquitto.url, silence_s=3.0)) as link:
        link.open()
        heard = Heard(link)
        assert heard.waits_for_subscriptions(1)
        before = link_processes()
        until = time.monotonic() + 5.0
        while time.monotonic() < until:
            heard.look()
        assert link_processes() == before


def test_closing_keeps_what_was_received_and_ends_the_process(
    mosquitto: Mosquitto, heard: Heard, device: DeviceClient
) -> None:
    sent = [str(number).encode() for number in range(50)]
    for payload in sent:
        device.publish(TOPIC, payload)
    assert heard.waits_for(1)
    heard.link.close()
    while waiting := heard.link.receive(at_most=7, wait_s=0.0):
        heard.items += waiting
    assert link_processes() == []
    received = heard.payloads
    assert received == sent[: len(received)]
    # What had not come by then the broker keeps; what had come it does not send again.
    with contextlib.closing(link_to(mosquitto.url)) as link:
        link.open()
        rest = Heard(link)
        assert eventually(lambda: rest.look() or {*received, *rest.payloads} == {*sent})


def test_why_there_is_no_connection_is_told() -> None:
    with contextlib.closing(link_to(f"mqtt://127.0.0.1:{free_port()}")) as link:
        link.open()
        gathered = Heard(link)

        def is_told() -> bool:
            gathered.look()
            return "is it running?" in (link.problem or "")

        assert eventually(is_told)


def test_the_published_bytes_are_those_of_the_contract(heard: Heard, device: DeviceClient) -> None:
    heard.link.publish([ACK])
    assert eventually(lambda: bool(device.acks()))
    topic, payload, retained = device.heard[-1]
    assert decode_message(topic, payload)[1] == ACK
    assert not retained
