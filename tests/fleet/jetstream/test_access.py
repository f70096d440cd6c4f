"""A stream and a gateway that ask for TLS and an account."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import nats
import nats.aio.client
import pytest
from nats.errors import Error

from contract.topics import Leaf, topics_of_all
from fleet.authority.authority import Authority
from fleet.authority.rules import FLEET
from fleet.jetstream.names import STREAM
from fleet.mqtt.delivery import Delivery, Subscribed
from fleet.mqtt.frames import StreamOrder
from fleet.mqtt.link import Session
from fleet.mqtt.remote_link import RemoteLink
from support.accounts import Cast, GuardedNats, own
from support.devices import eventually


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.open(tmp_path / "authority")


@pytest.fixture
def server(authority: Authority, tmp_path: Path) -> Iterator[GuardedNats]:
    """One server with the authority's certificate and accounts."""
    with GuardedNats(authority, tmp_path / "etc").running() as one:
        yield one


async def connected(
    server: GuardedNats, authority: Authority, *, user: str = FLEET, password: str | None = None
) -> nats.aio.client.Client:
    """A plain client of NATS."""
    return await nats.connect(
        server.nats_url,
        user=user,
        password=password or authority.fleet_access.password() or "",
        tls=authority.fleet_access.tls_context(),
        allow_reconnect=False,
        error_cb=_quiet,
    )


async def _quiet(_error: Exception) -> None:
    """What is refused is also told on the way."""


def held_by(server: GuardedNats, authority: Authority) -> int:
    """Results in the stream that are not settled."""

    async def ask() -> int:
        client = await connected(server, authority)
        try:
            return (await client.jetstream().stream_info(STREAM)).state.messages
        finally:
            await client.close()

    return asyncio.run(ask())


def link_to(server: GuardedNats, authority: Authority) -> RemoteLink:
    return RemoteLink(
        server.address,
        access=authority.fleet_access,
        client_name="fleet-guarded",
        session=Session.CLEAN,
        topics=[topics_of_all(Leaf.STATE)],
        program="fleet.jetstream.link_process",
        stream=StreamOrder(servers=[server.nats_url], tls=True),
    )


def test_the_fleets_account_opens_stream_and_gateway(
    server: GuardedNats, authority: Authority
) -> None:
    came: list[Delivery | Subscribed] = []
    with contextlib.closing(link_to(server, authority)) as link:
        link.open()

        def has_come(kind: type[Delivery | Subscribed]) -> bool:
            came.extend(link.receive(at_most=10, wait_s=0.02))
            return any(isinstance(one, kind) for one in came)

        assert eventually(lambda: has_come(Subscribed))
        with contextlib.closing(Cast(server)) as cast:
            cast.enroll("box")
            assert eventually(lambda: cast.device("box").is_in)
            cast.device("box").publish(own("box", Leaf.RESULT), b"a result")
            assert eventually(lambda: has_come(Delivery))
            # What is settled is gone: the acknowledgement is allowed, too.
            link.settle([one for one in came if isinstance(one, Delivery)])
            assert eventually(lambda: held_by(server, authority) == 0)


def test_the_fleets_account_reaches_no_stream_but_its_own(
    server: GuardedNats, authority: Authority
) -> None:
    async def attempt(subject: str) -> str:
        client = await connected(server, authority)
        try:
            await client.request(subject, b"{}", timeout=0.5)
        except TimeoutError:
            return "refused"
        finally:
            await client.close()
        return "answered"

    subjects = {
        "$JS.API.INFO": "answered",
        "$JS.API.STREAM.DELETE.$MQTT_msgs": "refused",
        "$JS.API.STREAM.PURGE.EDGEWRIGHT": "refused",
        "$JS.API.STREAM.DELETE.EDGEWRIGHT": "refused",
        "$JS.API.STREAM.CREATE.MORE": "refused",
        "$JS.API.STREAM.NAMES": "refused",
        "$SYS.REQ.SERVER.PING": "refused",
    }
    assert {one: asyncio.run(attempt(one)) for one in subjects} == subjects


def test_a_devices_account_does_not_get_in_but_by_the_gateway(
    server: GuardedNats, authority: Authority
) -> None:
    password = authority.enroll("lab", "box").password
    server.take_up()

    async def attempt() -> None:
        await connected(server, authority, user="lab/box", password=password)

    with contextlib.closing(Cast(server)) as cast:
        claims = {"username": "lab/box", "password": password}
        assert eventually(lambda: cast.attempt(**claims).is_in)
    with pytest.raises(Error, match="Authorization Violation"):
        asyncio.run(attempt())


def test_why_the_stream_does_not_open_is_told(server: GuardedNats, tmp_path: Path) -> None:
    stranger = Authority.open(tmp_path / "another")
    with contextlib.closing(link_to(server, stranger)) as link:
        link.open()

        def is_told() -> bool:
            link.receive(at_most=10, wait_s=0.02)
            return "certificate verify failed" in (link.problem or "")

        assert eventually(is_told)
