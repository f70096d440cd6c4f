"""The same attempts on the embedded broker, and on those that `broker-config` sets up."""

from __future__ import annotations

import socket
import ssl
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.access import client_name_of
from contract.address import BrokerAddress
from contract.topics import Leaf, device_filters, topics_of_all
from fleet.authority.authority import Authority
from support.accounts import Cast, Client, Guarded, fence, guarded_broker, own
from support.devices import eventually

FROM_DEVICE = [leaf for leaf in Leaf if leaf.from_device]
TO_DEVICE = [leaf for leaf in Leaf if not leaf.from_device]


@pytest.fixture(scope="module", params=["embedded", "mosquitto", "nats"])
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    program = request.getfixturevalue("mosquitto_program")
    with guarded_broker(request.param, tmp_path_factory.mktemp(request.param), program) as one:
        yield one


@pytest.fixture(scope="module")
def enrolled(guarded: Guarded) -> Iterator[Cast]:
    """A cast with three devices whose credentials hold.

    `box` and `other` are connected throughout; `guest` comes and goes.
    """
    cast = Cast(guarded)
    devices = ("box", "other", "guest")
    for device in devices:
        cast.enroll(device)
    for device in devices:
        assert eventually(lambda device=device: cast.device(device).is_in)
    yield cast
    cast.close()


@pytest.fixture(scope="module")
def fleet(enrolled: Cast) -> Client:
    """The fleet, which hears everything that devices may say."""
    client = enrolled.fleet()
    # The collector leaves answers to whoever asked.
    filters = [*device_filters(), topics_of_all(Leaf.ANSWER)]
    assert client.subscribe(*filters) == [True] * len(FROM_DEVICE)
    return client


@pytest.fixture(scope="module")
def box(enrolled: Cast) -> Client:
    """The device that tries things."""
    return enrolled.device("box")


@pytest.fixture(scope="module")
def other(enrolled: Cast) -> Client:
    """The device that they are tried on; it hears everything that it may."""
    client = enrolled.device("other")
    assert client.subscribe(*(own("other", leaf) for leaf in TO_DEVICE)) == [True] * len(TO_DEVICE)
    return client


def mark() -> bytes:
    return uuid.uuid4().hex.encode()


@pytest.mark.parametrize("leaf", FROM_DEVICE)
def test_a_device_writes_its_own_leaves(box: Client, fleet: Client, leaf: Leaf) -> None:
    said = mark()
    box.publish(own("box", leaf), said, retain=leaf.retained)
    assert eventually(lambda: (own("box", leaf), said) in fleet.heard)


@pytest.mark.parametrize("leaf", FROM_DEVICE)
def test_a_device_does_not_write_what_another_says(box: Client, fleet: Client, leaf: Leaf) -> None:
    said = mark()
    box.publish(own("other", leaf), said, retain=leaf.retained)
    fence(box, own("box", Leaf.STATE), fleet)
    assert not fleet.has_heard(said)


@pytest.mark.parametrize("leaf", TO_DEVICE)
def test_a_device_does_not_write_what_the_fleet_says(
    box: Client, other: Client, fleet: Client, leaf: Leaf
) -> None:
    said = mark()
    box.publish(own("other", leaf), said, retain=leaf.retained)
    fence(box, own("box", Leaf.STATE), fleet)
    fence(fleet, own("other", Leaf.ACK), other)
    assert not other.has_heard(said)


@pytest.mark.parametrize("leaf", TO_DEVICE)
def test_a_device_reads_what_the_fleet_says_to_it(
    enrolled: Cast, fleet: Client, leaf: Leaf
) -> None:
    said, later = mark(), mark()
    fleet.publish(own("guest", leaf), said, retain=True)
    late = enrolled.device("guest")
    assert late.subscribe(own("guest", leaf)) == [True]
    assert eventually(lambda: late.has_heard(said))
    fleet.publish(own("guest", leaf), later)
    assert eventually(lambda: late.has_heard(later))


@pytest.mark.parametrize(
    "topic_filter",
    [
        *(own("other", leaf) for leaf in Leaf),
        "#",
        "edgewright/#",
        "edgewright/v1/+/+/ack",
        "edgewright/v1/lab/+/desired",
        "edgewright/v1/lab/other/#",
        "+/+/+/+/+",
        "$SYS/#",
    ],
)
def test_a_device_hears_nothing_of_others(
    enrolled: Cast, fleet: Client, other: Client, topic_filter: str
) -> None:
    for leaf in TO_DEVICE:
        fleet.publish(own("other", leaf), mark(), retain=True)
    other.publish(own("other", Leaf.STATE), mark(), retain=True)
    spy = enrolled.device("guest")
    spy.subscribe(own("guest", Leaf.ACK), topic_filter)
    for leaf in TO_DEVICE:
        fleet.publish(own("other", leaf), mark())
    fence(other, own("other", Leaf.STATE), fleet)
    fence(fleet, own("guest", Leaf.ACK), spy)
    assert {topic for topic, _ in spy.heard} <= {own("guest", leaf) for leaf in TO_DEVICE}


@pytest.mark.parametrize("leaf", TO_DEVICE)
def test_the_fleet_says_to_devices_what_they_hear(fleet: Client, other: Client, leaf: Leaf) -> None:
    fence(fleet, own("other", leaf), other)


def test_the_fleet_does_not_speak_for_a_device(fleet: Client, other: Client) -> None:
    said = mark()
    fleet.publish(own("other", Leaf.RESULT), said)
    fence(fleet, own("other", Leaf.ACK), other)
    fence(other, own("other", Leaf.STATE), fleet)
    assert not fleet.has_heard(said)


def test_a_device_that_vanishes_says_its_last_will(enrolled: Cast, fleet: Client) -> None:
    said = mark()
    enrolled.device("guest", will=(own("guest", Leaf.STATE), said)).vanish()
    assert eventually(lambda: fleet.has_heard(said))


@pytest.mark.parametrize("topic", [own("other", Leaf.STATE), own("other", Leaf.ACK)])
def test_a_last_will_is_no_way_to_anothers_topic(
    enrolled: Cast, fleet: Client, other: Client, topic: str
) -> None:
    said, honest = mark(), mark()
    enrolled.device("guest", will=(topic, said)).vanish()
    enrolled.device("guest", will=(own("guest", Leaf.STATE), honest)).vanish()
    assert eventually(lambda: fleet.has_heard(honest))
    fence(fleet, own("other", Leaf.ACK), other)
    assert not fleet.has_heard(said)
    assert not other.has_heard(said)


def test_a_device_does_not_throw_another_out(enrolled: Cast, fleet: Client, other: Client) -> None:
    before = other.losses
    # What it can know of the other's id.
    enrolled.device("guest", client_id=client_name_of("lab", "other"))
    fence(fleet, own("other", Leaf.ACK), other)
    assert other.losses == before


def test_a_stranger_who_knows_its_id_does_not_disturb_a_device(
    enrolled: Cast, fleet: Client, other: Client
) -> None:
    before = other.losses
    known: bytes = other._client._client_id  # noqa: SLF001 - paho has no other way to tell
    for claims in ({}, {"username": "lab/other", "password": "guess"}):
        stranger = enrolled.attempt(client_id=known.decode(), **claims)
        assert not stranger.is_in
    fence(fleet, own("other", Leaf.ACK), other)
    assert other.losses == before


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"username": "lab/box"},
        {"username": "lab/box", "password": "guess"},
        {"username": "lab/box", "password": ""},
        {"username": "lab/nobody", "password": "guess"},
        {"username": "fleet", "password": "guess"},
        {"username": "", "password": ""},
    ],
)
def test_without_the_password_of_an_account_nobody_enters(
    enrolled: Cast, claims: dict[str, str]
) -> None:
    stranger = enrolled.attempt(client_id=client_name_of("lab", "box"), **claims)
    assert not stranger.is_in


def test_one_devices_password_is_no_other_ones(enrolled: Cast) -> None:
    password = enrolled.enroll("third")
    assert eventually(lambda: enrolled.device("third").is_in)
    assert not enrolled.attempt(username="lab/box", password=password).is_in


def test_who_trusts_another_authority_does_not_talk_to_this_broker(
    guarded: Guarded, tmp_path: Path
) -> None:
    another = Authority.open(tmp_path / "another")
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate verify failed"):
        Client(guarded.address, another.ca_file)


def test_without_tls_nobody_gets_an_answer(guarded: Guarded) -> None:
    plain = BrokerAddress(guarded.address.host, guarded.address.port)
    client = Client(plain, None)
    client.close()
    assert client.reason is None
    assert client.losses == 1


def test_a_new_password_voids_the_old_one_and_ends_its_connection(enrolled: Cast) -> None:
    old = enrolled.enroll("renewed")
    assert eventually(lambda: enrolled.device("renewed").is_in)
    connected = enrolled.device("renewed")
    enrolled.enroll("renewed")
    assert eventually(lambda: connected.losses == 1)
    assert eventually(lambda: enrolled.device("renewed").is_in)
    assert not enrolled.attempt(username="lab/renewed", password=old).is_in


def test_a_revoked_device_is_put_out_and_stays_out(
    enrolled: Cast, guarded: Guarded, other: Client
) -> None:
    enrolled.enroll("revoked")
    assert eventually(lambda: enrolled.device("revoked").is_in)
    connected = enrolled.device("revoked")
    before = other.losses
    assert guarded.authority.revoke("lab", "revoked")
    guarded.take_up()
    assert eventually(lambda: connected.losses == 1)
    assert not enrolled.device("revoked").is_in
    assert other.losses == before


def test_a_name_that_is_added_holds_without_a_restart(guarded: Guarded) -> None:
    context = ssl.create_default_context(cafile=guarded.authority.ca_file)
    where = (guarded.address.host, guarded.address.port)

    def is_known() -> bool:
        try:
            with socket.create_connection(where) as plain:
                context.wrap_socket(plain, server_hostname="added.example").close()
        except ssl.SSLCertVerificationError:
            return False
        return True

    assert not is_known()
    guarded.authority.add_names(["added.example"])
    guarded.take_up()
    assert eventually(is_known)


NOISE = {
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "one byte": b"\x10",
    "endless length": b"\x10\xff\xff\xff\xff\x7f",
    "giant": b"\x10\xff\xff\xff\x7f" + b"\x00" * 64,
    "cut short": b"\x10\x04\x00\x04MQTT",
    "long id": b"\x10\x10\x00\x04MQTT\x04\xc2\x00\x1e\xff\xff" + b"x" * 99,
    "every flag": b"\x10\x10\x00\x04MQTT\x04\xff\x00\x1e\x00\x02\xff\xfe\x00\x00",
    "publish first": b"\x30\x07\x00\x01a" + b"hello",
    "ping first": b"\xc0\x00",
    "zeros": b"\x00" * 32,
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
def test_noise_costs_who_makes_it_the_connection_and_nobody_else(
    guarded: Guarded, fleet: Client, other: Client, noise: bytes
) -> None:
    context = ssl.create_default_context(cafile=guarded.authority.ca_file)
    before = other.losses
    with (
        socket.create_connection((guarded.address.host, guarded.address.port)) as plain,
        context.wrap_socket(plain, server_hostname=guarded.address.host) as secured,
    ):
        secured.sendall(noise)
    fence(fleet, own("other", Leaf.ACK), other)
    assert other.losses == before
