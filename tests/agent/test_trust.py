"""The agent's connection to a broker that asks for an account: one line says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.courier import Courier, Patience
from agent.errors import LinkError
from agent.journal import Journal
from agent.link import Link
from agent.outbox import Outbox
from contract.access import Access, client_name_of
from contract.address import BrokerAddress, parse_broker_url
from contract.topics import Leaf, device_filters
from fleet.authority.authority import Authority, write_credentials
from support.accounts import Cast, GuardedEmbedded, own
from support.brokers import Mosquitto
from support.devices import eventually


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    authority = Authority.open(tmp_path_factory.mktemp("authority"))
    with GuardedEmbedded(authority).running() as guarded:
        made = Cast(guarded)
        yield made
        made.close()


@pytest.fixture
def access(cast: Cast, tmp_path: Path) -> Access:
    """Files of the device lab/box, just enrolled, as they lie on it."""
    credentials = cast.guarded.authority.enroll("lab", "box")
    ca_file, password_file = write_credentials(credentials, tmp_path / "device")
    assert eventually(
        lambda: (
            cast.attempt(
                username="lab/box",
                password=credentials.password,
                client_id=client_name_of("lab", "box"),
            ).is_in
        )
    )
    return Access(ca_file=ca_file, username="lab/box", password_file=password_file)


def connect(address: BrokerAddress, access: Access) -> Link:
    return Link.open(
        address,
        access=access,
        client_name=client_name_of("lab", "box"),
        will_topic=own("box", Leaf.STATE),
        will=b"gone",
        on_message=lambda _topic, _payload: None,
        should_stop=lambda: False,
    )


def refused(address: BrokerAddress, access: Access) -> str:
    with pytest.raises(LinkError) as caught:
        connect(address, access)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_an_enrolled_device_gets_in(cast: Cast, access: Access) -> None:
    with connect(cast.guarded.address, access) as link:
        link.close()


def test_a_wrong_password_leads_to_enroll(cast: Cast, access: Access) -> None:
    assert access.password_file is not None
    access.password_file.write_text("guess\n")
    said = refused(cast.guarded.address, access)
    assert "Not authorized" in said
    assert "edgewright-fleet enroll" in said
    assert "guess" not in said


def test_a_broker_of_another_fleet_leads_to_its_certificate(
    cast: Cast, access: Access, tmp_path: Path
) -> None:
    another = Authority.open(tmp_path / "another")
    said = refused(
        cast.guarded.address,
        Access(ca_file=another.ca_file, username="lab/box", password_file=access.password_file),
    )
    assert "copy ca.pem from this fleet's server again" in said


def test_a_broker_of_another_name_leads_to_that_name(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority", names=lambda: {"elsewhere.example"})
    authority.prepare()
    credentials = authority.enroll("lab", "box")
    ca_file, password_file = write_credentials(credentials, tmp_path / "device")
    with GuardedEmbedded(authority).running() as guarded:
        said = refused(
            guarded.address,
            Access(ca_file=ca_file, username="lab/box", password_file=password_file),
        )
    assert "not for '127.0.0.1'" in said
    assert "--name 127.0.0.1" in said


def test_a_port_without_tls_is_named(mosquitto: Mosquitto, access: Access) -> None:
    plain = parse_broker_url(mosquitto.url.replace("mqtt:", "mqtts:"))
    assert str(plain) in refused(plain, access)


def test_a_port_with_tls_is_not_taken_for_one_without(cast: Cast, access: Access) -> None:
    plain = BrokerAddress(cast.guarded.address.host, cast.guarded.address.port)
    assert "mqtts://" in refused(plain, access)


def test_a_file_that_is_missing_is_named(cast: Cast, access: Access, tmp_path: Path) -> None:
    nowhere = Access(ca_file=access.ca_file, password_file=tmp_path / "nowhere")
    assert "nowhere" in refused(cast.guarded.address, nowhere)


@pytest.fixture
def start_courier(cast: Cast, tmp_path: Path) -> Iterator[Callable[[Access], Courier]]:
    journal = Journal(tmp_path / "agent.sqlite", limit_bytes=64_000_000)
    started: list[Courier] = []

    def start(access: Access) -> Courier:
        courier = Courier(
            cast.guarded.address,
            access=access,
            site="lab",
            device="box",
            boot_id="boot-1",
            outbox=Outbox(journal, site="lab", device="box"),
            patience=Patience(reconnect_first_s=0.05, reconnect_most_s=0.1),
        )
        courier.start(on_desired=lambda _desired: None)
        started.append(courier)
        return courier

    yield start
    for courier in started:
        courier.stop()
    journal.close()


def test_an_agent_with_a_void_password_keeps_trying_and_takes_up_a_new_one(
    cast: Cast,
    access: Access,
    start_courier: Callable[[Access], Courier],
    caplog: pytest.LogCaptureFixture,
) -> None:
    fleet = cast.fleet()
    fleet.subscribe(*device_filters())
    assert access.password_file is not None
    good = access.password_file.read_text()
    access.password_file.write_text("void\n")
    with caplog.at_level("INFO", logger="agent.courier"):
        start_courier(access)
        assert eventually(lambda: caplog.text.count("broker_away") >= 3)
    access.password_file.write_text(good)
    assert eventually(lambda: any(topic.endswith("/state") for topic, _ in fleet.heard))
