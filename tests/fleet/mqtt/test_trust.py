"""The fleet's own way to a broker that asks for an account."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from contract.access import Access
from contract.messages import Ack, Desired, decode_message, encode_message
from contract.topics import Leaf
from fleet.authority.authority import Authority
from fleet.errors import BrokerAwayError
from fleet.mqtt.link import Link, Session
from fleet.mqtt.short_connection import publish_once
from support.accounts import Cast, GuardedMosquitto, own
from support.collectors import ServeProcess
from support.devices import eventually
from support.measurements import make_result

WANTED = Desired(
    site="lab", device="box", at=1, generation=1, variant="net-base", sha256="ab" * 32,
    threads=1, policy="fastest",
)  # fmt: skip


@pytest.fixture(scope="module")
def cast(mosquitto_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """The device lab/box, enrolled at Mosquitto."""
    folder = tmp_path_factory.mktemp("guarded")
    authority = Authority.open(folder / "authority")
    with GuardedMosquitto(authority, folder / "etc", mosquitto_program).running() as guarded:
        made = Cast(guarded)
        made.enroll("box")
        assert eventually(lambda: made.device("box").is_in)
        yield made
        made.close()


def publish(cast: Cast, access: Access) -> None:
    publish_once(
        cast.guarded.address, [WANTED], access=access, client_name="fleet-test", timeout_s=30
    )


def refused(cast: Cast, access: Access) -> str:
    with pytest.raises(BrokerAwayError) as caught:
        publish(cast, access)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_the_fleet_publishes_reaches_the_device(cast: Cast) -> None:
    publish(cast, cast.guarded.authority.fleet_access)
    device = cast.device("box")
    device.subscribe(own("box", Leaf.DESIRED))
    assert eventually(lambda: device.has_heard(encode_message(WANTED)))


def test_another_fleets_account_is_refused_in_one_line(cast: Cast, tmp_path: Path) -> None:
    another = Authority.open(tmp_path / "another").fleet_access
    known = msgspec.structs.replace(another, ca_file=cast.guarded.authority.ca_file)
    assert "expected the fleet's account" in refused(cast, known)


def test_another_fleets_broker_is_refused_in_one_line(cast: Cast, tmp_path: Path) -> None:
    another = Authority.open(tmp_path / "another").fleet_access
    assert "not from the authority" in refused(cast, another)


def test_a_collector_serves_devices_over_mosquitto_with_the_printed_configuration(
    cast: Cast, start_serve: Callable[..., ServeProcess]
) -> None:
    authority = str(cast.guarded.authority.folder)
    start_serve("--broker", str(cast.guarded.address), "--authority", authority)
    device = cast.device("box")
    device.subscribe(own("box", Leaf.ACK))
    device.publish(own("box", Leaf.RESULT), encode_message(make_result(1)))

    def acked() -> int:
        acks = [decode_message(topic, body)[1] for topic, body in device.heard]
        return max((a.epochs["e-1"].through for a in acks if isinstance(a, Ack)), default=0)

    assert eventually(lambda: acked() == 1)


def test_a_collector_says_why_it_does_not_trust_a_broker_and_keeps_trying(
    cast: Cast, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    another = Authority.open(tmp_path / "another").fleet_access
    link = Link(
        cast.guarded.address, access=another, client_name="fleet-test", session=Session.CLEAN
    )
    with caplog.at_level("INFO", logger="fleet.mqtt.link"), contextlib.closing(link):
        link.open()
        assert eventually(lambda: caplog.text.count("not from the authority") >= 2)
