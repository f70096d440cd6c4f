"""A broker that does not let a collector subscribe for a while, as a cluster without a leader."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from contract.access import Access
from contract.address import BrokerAddress
from fleet.mqtt.delivery import Subscribed
from fleet.mqtt.link import Link, Session
from support.devices import eventually

CONNACK = b"\x20\x02\x00\x00"
CONNECT, SUBSCRIBE, DISCONNECT = 1, 8, 14
REFUSED, GRANTED = 0x80, 0x01


class HesitantBroker:
    """Speaks just enough MQTT for one client; refuses the first subscription it is asked for."""

    def __init__(self) -> None:
        self.asked = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = BrokerAddress("127.0.0.1", self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.close()
        self._thread.join(120)

    def _serve(self) -> None:
        with contextlib.suppress(OSError, IndexError):
            client, _ = self._listener.accept()
            with client, client.makefile("rb") as stream:
                while True:
                    kind, body = stream.read(1)[0] >> 4, stream.read(stream.read(1)[0])
                    if kind == CONNECT:
                        client.sendall(CONNACK)
                    elif kind == SUBSCRIBE:
                        self.asked += 1
                        code = REFUSED if self.asked == 1 else GRANTED
                        client.sendall(b"\x90\x03" + body[:2] + bytes([code]))
                    elif kind == DISCONNECT:
                        return


@pytest.fixture
def broker() -> Iterator[HesitantBroker]:
    with contextlib.closing(HesitantBroker()) as one:
        yield one


def test_a_link_that_may_not_subscribe_says_so_and_tries_again(broker: HesitantBroker) -> None:
    link = Link(
        broker.address,
        access=Access(),
        client_name="fleet-test",
        session=Session.CLEAN,
        topics=["edgewright/v1/+/+/state"],
    )
    problems: set[str | None] = set()
    with contextlib.closing(link):
        link.open()

        def has_subscribed() -> bool:
            problems.add(link.problem)
            return any(isinstance(one, Subscribed) for one in link.receive(at_most=1, wait_s=0.0))

        assert eventually(has_subscribed)
        assert broker.asked == 2
        assert any(problem is not None for problem in problems)
        assert link.problem is None
