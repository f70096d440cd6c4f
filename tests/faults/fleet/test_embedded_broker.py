"""The broker that `serve` brings along, with many who send more than is taken."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable

import paho.mqtt.client as mqtt
import sqlalchemy as sa

from contract.messages import encode_message
from contract.topics import Leaf, topic_for
from fleet.store.database import Database
from fleet.store.schema import devices, epochs, results
from support.collectors import ServeProcess
from support.devices import DeviceClient, eventually
from support.faults.table import Row
from support.measurements import make_result, make_run

MakeRow = Callable[..., Row]
StartServe = Callable[..., ServeProcess]
FLOODS, EACH = 5, 4_000
#: What a collector may hold already: in flight, in its link process, and in two batches.
_AHEAD = 6_000
CLIENTS = 200


def connected(url: str, name: str) -> mqtt.Client:
    """A client that sends whatever it is given at once."""
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name)
    client.max_inflight_messages_set(0)
    host, port = url.removeprefix("mqtt://").split(":")
    client.connect(host, int(port))
    client.loop_start()
    return client


def test_a_quiet_device_is_stored_and_acknowledged_while_others_flood(
    start_serve: StartServe,
    connect: Callable[..., DeviceClient],
    database: Database,
    fault: MakeRow,
) -> None:
    row = fault(
        "five devices have 4,000 results each on their way to the embedded broker",
        holds="another's result is stored before most of theirs, and acknowledged; the broker has "
        "confirmed little more than is stored",
    )
    serve = start_serve()
    quiet = connect(serve.url, device="quiet")
    of_floods = (
        sa.select(sa.func.count())
        .select_from(results)
        .join(epochs, epochs.c.id == results.c.epoch_id)
        .join(devices, devices.c.id == epochs.c.device_id)
        .where(devices.c.device.like("flood-%"))
    )

    def stored(before: int | None = None) -> int:
        asked = of_floods if before is None else of_floods.where(results.c.id < before)
        with database.reading() as connection:
            return int(connection.scalar(asked) or 0)

    confirmed = itertools.count()
    with contextlib.ExitStack() as stack:
        for number in range(FLOODS):
            name = f"flood-{number}"
            client = connected(serve.url, name)
            client.on_publish = lambda *_: next(confirmed)
            stack.callback(client.loop_stop)
            stack.callback(client.disconnect)
            template = encode_message(make_result(987_654, make_run(run_id="_run_"), device=name))
            for seq in range(1, EACH + 1):
                payload = template.replace(b"987654", b"%d" % seq)
                payload = payload.replace(b"_run_", b"%s-%d" % (name.encode(), seq))
                client.publish(topic_for("lab", name, Leaf.RESULT), payload, 1)
        assert eventually(lambda: stored() > 0)
        ahead = stored()
        quiet.send(make_result(1, make_run(run_id="quiet"), device="quiet"))
        assert eventually(lambda: quiet.is_acked(1))
        # What is confirmed and not stored is in the broker's memory, or the collector's.
        unstored = next(confirmed) - stored()
    with database.reading() as connection:
        place = connection.scalar(sa.select(results.c.id).where(results.c.run_id == "quiet"))
    assert isinstance(place, int)
    overtaken_by = stored(before=place) - ahead
    assert overtaken_by < _AHEAD
    assert unstored < _AHEAD
    assert serve.stop() == 0
    row.tried(FLOODS * EACH)
    row.came_to(
        f"stored after {overtaken_by} of the {FLOODS * EACH - ahead} that were ahead, "
        f"{max(0, unstored)} confirmed and not stored"
    )


def test_a_stop_with_many_clients_says_nothing_of_each(
    start_serve: StartServe, fault: MakeRow
) -> None:
    row = fault(
        "SIGTERM to a `serve` with 200 clients on its embedded broker",
        holds="it ends with 0, and the log says nothing of each of them",
    )
    serve = start_serve("--listen", "127.0.0.1:0", "-v")
    clients = [connected(serve.url, f"client-{number}") for number in range(CLIENTS)]
    try:
        assert eventually(lambda: all(one.is_connected() for one in clients))
        for number, client in enumerate(clients):
            result = encode_message(make_result(1, device=f"c-{number}"))
            client.publish(topic_for("lab", f"c-{number}", Leaf.RESULT), result, 1)
        assert serve.stop() == 0
    finally:
        for client in clients:
            client.disconnect()
            client.loop_stop()
    said = serve.log.read_text()
    assert "Traceback" not in said
    assert len(said.splitlines()) < CLIENTS // 4
    row.tried(CLIENTS)
    row.came_to(f"{len(said.splitlines())} lines")
