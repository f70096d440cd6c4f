"""A thousand devices come back at once; a last will comes after the next birth."""

from __future__ import annotations

import resource
import threading
from collections.abc import Callable, Iterator

import paho.mqtt.client as mqtt
import pytest
import sqlalchemy as sa

from contract.address import parse_broker_url
from contract.messages import Presence, State, decode_message, encode_message
from contract.topics import Leaf, topic_for
from fleet.simulating.plan import Plan
from fleet.simulating.simulation import Simulation
from fleet.store.database import Database
from fleet.store.roster import list_devices
from fleet.store.schema import devices, epochs, results
from support.brokers import Mosquitto
from support.collectors import ServeProcess
from support.devices import DeviceClient, eventually
from support.faults.table import Row
from support.measurements import make_result

MakeRow = Callable[..., Row]
StartServe = Callable[..., ServeProcess]
DEVICES = 1_000
_FILES = 4 * DEVICES


@pytest.fixture
def many_files() -> Iterator[None]:
    """Let this process, and the broker that it starts, have a socket a device."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_after_a_storm_of_reconnects_all_are_online_and_everything_is_stored_once(
    mosquitto: Mosquitto,
    start_serve: StartServe,
    database: Database,
    fault: MakeRow,
) -> None:
    """Each device has a connection and a last will of its own, and all break at one moment."""
    row = fault(
        "1,000 devices lose their connections and come back at once",
        holds="all online at the end; published, stored and acknowledged are equal",
    )
    start_serve("--broker", mosquitto.url)
    plan = Plan(
        site="storm",
        devices=DEVICES,
        connections=DEVICES,
        rate=400.0,
        duration_s=8.0,
        storms_s=(6.0,),
        grace_s=120.0,
    )
    simulation = Simulation(plan, parse_broker_url(mosquitto.url), run="storm")
    online: list[int] = []

    def look() -> None:
        def count() -> int:
            with database.reading() as connection:
                return sum(one.presence is Presence.ONLINE for one in list_devices(connection))

        eventually(lambda: count() == DEVICES)
        online.append(count())

    report = simulation.run(threading.Event(), on_settled=look)
    row.tried(report.connected)
    assert report.storms == 1
    assert report.outstanding == 0
    assert online == [DEVICES]
    with database.reading() as connection:
        places = connection.execute(
            sa.select(devices.c.device, results.c.seq)
            .join(epochs, epochs.c.id == results.c.epoch_id)
            .join(devices, devices.c.id == epochs.c.device_id)
        ).all()
    made = {(one.name, seq) for one in simulation.devices for seq in range(1, one.made + 1)}
    assert len(places) == len(made)
    assert {(name, seq) for name, seq in places} == made
    assert report.acknowledged == report.made == len(made)
    row.came_to(f"{len(made)} results, {report.resent} sent again, {online[0]} online")


def said(presence: Presence, connection: int) -> State:
    return State(
        site="lab", device="box", presence=presence, boot_id="b", connection=connection, at=1.0
    )


def test_a_last_will_that_comes_after_the_next_birth_does_not_hide_the_device(
    mosquitto: Mosquitto,
    start_serve: StartServe,
    connect: Callable[..., DeviceClient],
    database: Database,
    fault: MakeRow,
) -> None:
    """The old connection fell silent: the broker finds out when its keepalive is over."""
    row = fault(
        "a last will comes after the next birth (a broker's keepalive)",
        holds="the device stays online, also for a collector that starts later",
    )

    def presence() -> Presence | None:
        with database.reading() as connection:
            (known,) = list_devices(connection)
        return known.presence

    serve = start_serve("--broker", mosquitto.url)
    topic = topic_for("lab", "box", Leaf.STATE)
    old = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="box-old")
    old.will_set(topic, encode_message(said(Presence.OFFLINE, 1)), 1, retain=True)
    host, port = mosquitto.url.removeprefix("mqtt://").split(":")
    old.connect(host, int(port), keepalive=1)
    old.loop_start()
    old.publish(topic, encode_message(said(Presence.ONLINE, 1)), 1, retain=True).wait_for_publish(
        30
    )
    # It is there, and says nothing more: no ping either.
    old.loop_stop()
    new = connect(mosquitto.url)
    heard: list[State] = []
    listener = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="listener")

    def hear(_client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        _, state = decode_message(message.topic, bytes(message.payload))
        assert isinstance(state, State)
        heard.append(state)

    listener.on_message = hear
    listener.on_connect = lambda client, *_: client.subscribe(topic, 1)
    listener.connect(host, int(port))
    listener.loop_start()
    new.send(said(Presence.ONLINE, 2), Leaf.STATE)
    assert eventually(lambda: said(Presence.OFFLINE, 1) in heard)
    listener.disconnect()
    listener.loop_stop()
    assert heard[-2:] == [said(Presence.ONLINE, 2), said(Presence.OFFLINE, 1)]
    new.send(make_result(1))
    assert eventually(lambda: new.is_acked(1))
    assert presence() is Presence.ONLINE
    # The broker has kept the last will: the next collector hears that alone.
    assert serve.stop() == 0
    start_serve("--broker", mosquitto.url)
    new.send(make_result(2))
    assert eventually(lambda: new.is_acked(2))
    assert presence() is Presence.ONLINE
    sock = old.socket()
    assert sock is not None
    sock.close()
    row.tried(2)
    row.came_to("online")
