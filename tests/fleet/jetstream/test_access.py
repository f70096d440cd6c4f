"""A stream and a gateway that ask for TLS and an account."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.address import BrokerAddress
from contract.topics import Leaf, topics_of_all
from fleet.authority.authority import Authority
from fleet.authority.rules import FLEET
from fleet.mqtt.delivery import Delivery, Subscribed
from fleet.mqtt.frames import StreamOrder
from fleet.mqtt.link import Session
from fleet.mqtt.remote_link import RemoteLink
from support.accounts import Client, own
from support.devices import eventually
from support.nats import NatsServer

#: The password of the device's account, which the server is told.
OF_DEVICE = "a device's"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.open(tmp_path / "authority")


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[NatsServer]:
    """One server with the authority's certificate, the fleet's account and a device's."""
    pem = authority.server_file
    tls = f'tls {{ cert_file: "{pem}", key_file: "{pem}" }}'
    users = ", ".join(
        f'{{ user: "{user}", password: "{password}" }}'
        for user, password in (
            (FLEET, authority.fleet_access.password()),
            ("lab/box", OF_DEVICE),
        )
    )
    one = NatsServer(
        "guarded",
        tmp_path,
        more=f"{tls}\nauthorization {{ users: [{users}] }}\n",
        more_of_gateway=tls,
    )
    one.start([])
    yield one
    one.kill()


def link_to(server: NatsServer, authority: Authority) -> RemoteLink:
    return RemoteLink(
        BrokerAddress("127.0.0.1", server.mqtt_port, tls=True),
        access=authority.fleet_access,
        client_name="fleet-guarded",
        session=Session.CLEAN,
        topics=[topics_of_all(Leaf.STATE)],
        program="fleet.jetstream.link_process",
        stream=StreamOrder(servers=[f"tls://127.0.0.1:{server.port}"], tls=True),
    )


def test_the_fleets_account_opens_stream_and_gateway(
    server: NatsServer, authority: Authority
) -> None:
    came: list[Delivery | Subscribed] = []
    with contextlib.closing(link_to(server, authority)) as link:
        link.open()

        def has_come(kind: type[Delivery | Subscribed]) -> bool:
            came.extend(link.receive(at_most=10, wait_s=0.02))
            return any(isinstance(one, kind) for one in came)

        assert eventually(lambda: has_come(Subscribed))
        device = Client(
            BrokerAddress("127.0.0.1", server.mqtt_port, tls=True),
            authority.ca_file,
            username="lab/box",
            password=OF_DEVICE,
        )
        device.publish(own("box", Leaf.RESULT), b"a result")
        assert eventually(lambda: has_come(Delivery))
        device.close()


def test_why_the_stream_does_not_open_is_told(server: NatsServer, tmp_path: Path) -> None:
    stranger = Authority.open(tmp_path / "another")
    with contextlib.closing(link_to(server, stranger)) as link:
        link.open()

        def is_told() -> bool:
            link.receive(at_most=10, wait_s=0.02)
            return "certificate verify failed" in (link.problem or "")

        assert eventually(is_told)
