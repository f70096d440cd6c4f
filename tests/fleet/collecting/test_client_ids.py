"""Who can take the collector's client id, and what becomes of sessions under other ids."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from contract.access import client_id_of, client_name_of
from contract.messages import Ack, decode_message, encode_message
from contract.question import Request
from contract.topics import Leaf, topics_of_all
from fleet.authority.authority import Authority
from fleet.authority.rules import FLEET
from fleet.mqtt.asking import ask
from fleet.mqtt.delivery import Delivery, Subscribed
from fleet.mqtt.link import Link, Session
from fleet.mqtt.short_connection import publish_once
from fleet.store.broker_session import kept_client_id
from fleet.store.database import open_database
from support.accounts import Cast, Client, GuardedMosquitto, own
from support.brokers import Mosquitto
from support.collectors import ServeProcess
from support.devices import PATIENCE_S, eventually
from support.faults.table import Row
from support.measurements import make_result

StartServe = Callable[..., ServeProcess]


@pytest.fixture
def cast(mosquitto_program: str, tmp_path: Path) -> Iterator[Cast]:
    """Mosquitto with the devices lab/dev-001, who tries things, and lab/box, who works."""
    authority = Authority.open(tmp_path / "authority")
    broker = GuardedMosquitto(authority, tmp_path / "etc", mosquitto_program)
    with broker.running() as guarded, contextlib.closing(Cast(guarded)) as made:
        for device in ("dev-001", "box"):
            made.enroll(device)
            assert eventually(lambda device=device: made.device(device).is_in)
        yield made


def collect(start_serve: StartServe, cast: Cast) -> ServeProcess:
    guarded = cast.guarded
    return start_serve(
        "--broker", str(guarded.address), "--authority", str(guarded.authority.folder)
    )


def store_id(store_url: str) -> str:
    with contextlib.closing(open_database(store_url, create=True)) as database:
        return database.store_id()


def kept(store_url: str) -> str | None:
    with (
        contextlib.closing(open_database(store_url, create=False)) as database,
        database.reading() as connection,
    ):
        return kept_client_id(connection)


def through(device: Client) -> int:
    """How far the device's results are acknowledged."""
    acks = [decode_message(topic, body)[1] for topic, body in list(device.heard)]
    return max((a.epochs["e-1"].through for a in acks if isinstance(a, Ack)), default=0)


def session_is_kept(cast: Cast, client_id: str, *, subscribe: bool = False) -> bool:
    """Whether the broker has a session of the fleet under an id; leaves one there itself."""
    authority = cast.guarded.authority
    answered, done = threading.Event(), threading.Event()
    found: list[bool] = []
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2,
        client_id=client_id,
        clean_session=False,
        reconnect_on_failure=False,
    )
    client.tls_set_context(authority.fleet_access.tls_context())
    client.username_pw_set(FLEET, authority.fleet_access.password())

    def connected(_c: object, _u: object, flags: mqtt.ConnectFlags, *_: object) -> None:
        found.append(flags.session_present)
        answered.set()

    client.on_connect = connected
    client.on_subscribe = lambda *_: done.set()
    client.connect(cast.guarded.address.host, cast.guarded.address.port)
    client.loop_start()
    assert answered.wait(PATIENCE_S)
    if subscribe:
        client.subscribe(topics_of_all(Leaf.RESULT), 1)
        assert done.wait(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    return found[0]


def test_no_id_that_a_device_can_work_out_takes_the_collector_offline(
    cast: Cast, start_serve: StartServe, store_url: str, fault: Callable[..., Row]
) -> None:
    row = fault(
        "a device's account connects with ids that it can work out",
        holds="others' results are stored and acknowledged",
    )
    serve = collect(start_serve, cast)
    theirs = cast.enroll("dev-001")
    assert eventually(lambda: cast.device("dev-001").is_in)
    known = f"edgewright-fleet-{store_id(store_url)[:12]}"
    fleets = [known, client_name_of("fleet", "fleet"), FLEET]
    guesses = [
        guess
        for name in fleets
        for guess in (name, client_id_of(name, theirs), client_id_of(name, ""), f"{name}:")
    ]
    box = cast.device("box")
    box.subscribe(own("box", Leaf.ACK))
    for number, guess in enumerate(guesses, start=1):
        attacker = cast.device("dev-001", client_id=guess)
        attacker.subscribe(topics_of_all(Leaf.RESULT))
        box.publish(own("box", Leaf.RESULT), encode_message(make_result(number)))
        row.tried()
    assert eventually(lambda: through(box) == len(guesses))
    assert serve.log.read_text().count(" connected broker=") == 1


def test_the_session_of_a_collector_of_before_is_ended(
    cast: Cast, start_serve: StartServe, store_url: str
) -> None:
    before = f"edgewright-fleet-{store_id(store_url)[:12]}"
    assert not session_is_kept(cast, before, subscribe=True)
    assert session_is_kept(cast, before)
    serve = collect(start_serve, cast)
    assert eventually(lambda: kept(store_url) is not None)
    assert not session_is_kept(cast, before)
    assert serve.stop() == 0


def test_a_collector_that_keeps_no_session_ends_the_one_of_before_too(cast: Cast) -> None:
    """Such as one of several that share a store."""
    address, access = cast.guarded.address, cast.guarded.authority.fleet_access
    assert not session_is_kept(cast, "before", subscribe=True)
    link = Link(
        address,
        access=access,
        client_name="edgewright-fleet-shared",
        session=Session.CLEAN,
        former_ids=["before"],
    )
    with contextlib.closing(link):
        link.open()
        came: list[Delivery | Subscribed] = []

        def is_there() -> bool:
            came.extend(link.receive(at_most=1, wait_s=0.05))
            return Subscribed() in came

        assert eventually(is_there)
        assert not session_is_kept(cast, "before")
        assert link.kept_client_id is None


def test_a_changed_password_of_the_fleet_needs_no_restart_and_leaves_no_session(
    cast: Cast, start_serve: StartServe, store_url: str
) -> None:
    authority = cast.guarded.authority
    serve = collect(start_serve, cast)
    assert eventually(lambda: kept(store_url) is not None)
    first = kept(store_url)
    assert first is not None
    assert first == client_id_of(first.rpartition(":")[0], authority.fleet_access.password())
    renew(cast)
    assert eventually(lambda: kept(store_url) != first)
    second = kept(store_url)
    assert not session_is_kept(cast, first)
    box = cast.device("box")
    box.subscribe(own("box", Leaf.ACK))
    box.publish(own("box", Leaf.RESULT), encode_message(make_result(1)))
    assert eventually(lambda: through(box) == 1)
    # While no collector runs: the next one knows from the store what to end.
    assert serve.stop() == 0
    assert second is not None
    assert session_is_kept(cast, second)
    renew(cast)
    collect(start_serve, cast)
    assert eventually(lambda: kept(store_url) != second)
    assert not session_is_kept(cast, second)


def renew(cast: Cast) -> None:
    """Give the fleet another password."""
    authority = cast.guarded.authority
    access = authority.fleet_access
    assert access.password_file is not None
    access.password_file.unlink()
    authority.prepare()
    cast.guarded.take_up()
    assert eventually(lambda: cast.fleet().is_in)


def test_every_client_id_of_the_fleet_has_a_part_that_only_its_password_yields(
    cast: Cast, start_serve: StartServe, tmp_path: Path
) -> None:
    collect(start_serve, cast)
    access, address = cast.guarded.authority.fleet_access, cast.guarded.address
    publish_once(address, [], access=access, client_name="edgewright-apply-1", timeout_s=PATIENCE_S)
    request = Request(
        site="lab", device="box", at=1.0, id="ab" * 16, deadline_s=0.1, image=b"x", variants=[],
        threads=1, top_k=1,
    )  # fmt: skip
    assert list(ask(address, access, request, client_name="edgewright-ask-1")) == []
    log = (tmp_path / "etc" / "mosquitto.log").read_text()
    ids = re.findall(r"New client connected from \S+ as (edgewright-\S+) \(.*u'fleet'\)", log)
    names = {"edgewright-apply-1", "edgewright-ask-1"}
    # What ends a session of before has that session's id.
    made = [one for one in ids if ":" in one]
    assert names < {one.partition(":")[0] for one in made}
    for one in made:
        assert one == client_id_of(one.partition(":")[0], access.password())


def test_a_collector_that_is_thrown_out_again_and_again_says_so_once(
    mosquitto: Mosquitto, start_serve: StartServe, store_url: str
) -> None:
    """On a broker without accounts, where anybody may have its id."""
    serve = start_serve("--broker", mosquitto.url)
    assert eventually(lambda: kept(store_url) is not None)
    client_id = kept(store_url)
    assert client_id is not None
    rival = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=client_id)
    rival.reconnect_delay_set(1, 1)
    rival.connect("127.0.0.1", mosquitto.port)
    rival.loop_start()
    try:
        assert eventually(lambda: serve.log.read_text().count(" connected broker=") >= 7)
    finally:
        rival.disconnect()
        rival.loop_stop()
    (line,) = [one for one in serve.log.read_text().splitlines() if "has the same id" in one]
    assert "WARNING" in line
    assert "Stop it" in line


def test_a_broker_that_restarts_again_and_again_is_not_taken_for_a_rival(
    mosquitto: Mosquitto, start_serve: StartServe
) -> None:
    serve = start_serve("--broker", mosquitto.url)
    for times in range(1, 5):
        mosquitto.kill()
        assert eventually(lambda times=times: serve.log.read_text().count("broker away") >= times)
        mosquitto.start()
        assert eventually(
            lambda times=times: serve.log.read_text().count(" connected broker=") == times + 1
        )
    assert "has the same id" not in serve.log.read_text()
