"""A link that takes results from a stream: one server, and the consumer's real behaviour."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil
import pytest

from benchmarks.lib.nats_cluster import NatsCluster, nats_cluster
from contract.access import Access
from contract.address import parse_broker_url
from contract.messages import encode_message
from contract.topics import Leaf, topic_for, topics_of_all
from fleet.jetstream.names import STREAM
from fleet.mqtt.delivery import Delivery, Subscribed
from fleet.mqtt.frames import StreamOrder
from fleet.mqtt.link import Session
from fleet.mqtt.remote_link import RemoteLink
from support.devices import DeviceClient, eventually
from support.measurements import make_result

TOPIC = topic_for("lab", "box", Leaf.RESULT)
#: What a gateway lets pass and the contract does not.
ODD = ["edgewright/v1/lab/de.vice/result", "edgewright/v1//box/result", "edgewright/v1/a.b//result"]


class Heard:
    """A link, and what it brought."""

    def __init__(self, cluster: NatsCluster, name: str) -> None:
        self.link = RemoteLink(
            parse_broker_url(cluster.servers[0].mqtt_url),
            access=Access(),
            client_name=f"fleet-{name}",
            session=Session.CLEAN,
            topics=[topics_of_all(Leaf.STATE)],
            program="fleet.jetstream.link_process",
            stream=StreamOrder(servers=[one.url for one in cluster.servers], tls=False),
        )
        self.deliveries: list[Delivery] = []
        self.link.open()
        assert eventually(self.is_there)

    def waits_for(self, payloads: list[bytes]) -> bool:
        def has_all() -> bool:
            self._look()
            return [one.payload for one in self.deliveries] == payloads

        return eventually(has_all)

    def is_there(self) -> bool:
        """Whether it tells just now that it has connected."""
        return any(isinstance(one, Subscribed) for one in self._look())

    def _look(self) -> list[Delivery | Subscribed]:
        items = self.link.receive(at_most=100, wait_s=0.02)
        self.deliveries += [one for one in items if isinstance(one, Delivery)]
        return items


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """One server of its own, without a cluster: it keeps everything once."""
    with nats_cluster(tmp_path_factory.mktemp("nats"), size=1) as one:
        yield one


@pytest.fixture
def device(cluster: NatsCluster) -> Iterator[DeviceClient]:
    with contextlib.closing(DeviceClient(cluster.servers[0].mqtt_url, "lab", "box")) as client:
        yield client


def messages_in(cluster: NatsCluster) -> int:
    return cluster.stream(STREAM).state.messages


def test_a_result_stays_in_the_stream_until_it_is_stored(
    cluster: NatsCluster, device: DeviceClient
) -> None:
    heard = Heard(cluster, "one")
    with contextlib.closing(heard.link):
        sent = [encode_message(make_result(number)) for number in range(1, 4)]
        for payload in sent:
            device.publish(TOPIC, payload)
        assert heard.waits_for(sent)
        assert {one.topic for one in heard.deliveries} == {TOPIC}
        assert messages_in(cluster) == len(sent)
        heard.link.settle(heard.deliveries[:2])
        assert eventually(lambda: messages_in(cluster) == 1)
        heard.link.settle(heard.deliveries[2:])
        assert eventually(lambda: messages_in(cluster) == 0)


def test_what_a_link_did_not_settle_another_gets_when_it_is_closed(
    cluster: NatsCluster, device: DeviceClient
) -> None:
    """Before the stream would miss it: the process gives back what it holds."""
    first = Heard(cluster, "first")
    with contextlib.closing(first.link):
        device.publish(TOPIC, b"held")
        assert first.waits_for([b"held"])
        second = Heard(cluster, "second")
        with contextlib.closing(second.link):
            first.link.close()
            assert second.waits_for([b"held"])
            second.link.settle(second.deliveries)
            assert eventually(lambda: messages_in(cluster) == 0)


def test_a_killed_link_process_is_replaced(cluster: NatsCluster, device: DeviceClient) -> None:
    heard = Heard(cluster, "replaced")
    with contextlib.closing(heard.link):
        (process,) = _link_processes()
        process.kill()
        assert eventually(heard.is_there)
        device.publish(TOPIC, b"after its death")
        assert heard.waits_for([b"after its death"])
        heard.link.settle(heard.deliveries)
        assert eventually(lambda: messages_in(cluster) == 0)


def test_topics_come_as_devices_wrote_them(cluster: NatsCluster, device: DeviceClient) -> None:
    heard = Heard(cluster, "odd")
    with contextlib.closing(heard.link):
        for topic in ODD:
            device.publish(topic, topic.encode())
        assert heard.waits_for([topic.encode() for topic in ODD])
        assert [one.topic for one in heard.deliveries] == ODD
        heard.link.settle(heard.deliveries)
        assert eventually(lambda: messages_in(cluster) == 0)


def _link_processes() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if "fleet.jetstream.link_process" in " ".join(child.cmdline())
    ]
