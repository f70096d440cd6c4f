"""One device sends as fast as it can, others as always."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator

import msgspec
import paho.mqtt.client as mqtt
import psutil
import sqlalchemy as sa

from contract.benchmark import MAX_SAMPLES
from contract.messages import encode_message
from contract.topics import Leaf, topic_for
from fleet.store.database import Database
from fleet.store.outbox import MOST_OUTBOXES
from fleet.store.quarantine import MOST_BYTES, MOST_MESSAGES
from fleet.store.schema import devices, epochs, quarantine, results
from fleet.store.watermark import MOST_ISLANDS
from support.brokers import Mosquitto
from support.collectors import ServeProcess
from support.devices import eventually
from support.faults.table import Row
from support.measurements import make_result, make_run
from support.outboxes import Outboxes

MakeRow = Callable[..., Row]
DEVICES, EACH = 10, 40
#: At most so much of the flood is on its way to the broker.
_WINDOW = 100
_LEAST = 8_000
#: What others send at once waits behind what the broker holds already, and for nothing else.
_BATCHES = 50
_MEBIBYTE = 1 << 20
#: A collector and its link process take 200 MiB without a flood, and the flood is several times
#: what they may take more.
_MEMORY_BYTES = 600 * _MEBIBYTE


class Flood(threading.Thread):
    """Repeats, new results with as many samples as there may be, malformed ones, gaps, outboxes."""

    def __init__(self, url: str) -> None:
        super().__init__(name="flood")
        self.sent = self.sent_bytes = self.malformed = 0
        self.stopping = threading.Event()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="flood")
        self._client.max_inflight_messages_set(_WINDOW)
        host, port = url.removeprefix("mqtt://").split(":")
        self._client.connect(host, int(port))
        self._client.loop_start()

    def run(self) -> None:
        """Send until told to stop."""
        topic = topic_for("lab", "flood", Leaf.RESULT)
        on_its_way: list[mqtt.MQTTMessageInfo] = []
        for payload in self._payloads():
            if self.stopping.is_set():
                break
            on_its_way.append(self._client.publish(topic, payload, 1))
            self.sent += 1
            self.sent_bytes += len(payload)
            if len(on_its_way) == _WINDOW:
                on_its_way.pop(0).wait_for_publish(60)
        for one in on_its_way:
            one.wait_for_publish(60)
        self._client.disconnect()
        self._client.loop_stop()

    def _payloads(self) -> Iterator[bytes]:
        first = encode_message(make_result(1, device="flood"))
        samples = [float(n) for n in range(MAX_SAMPLES)]
        for number in itertools.count(2):
            yield first
            body = msgspec.to_builtins(make_result(2 * number, device="flood", epoch="spoilt"))
            body["run"]["threads"] = "many"
            self.malformed += 1
            yield msgspec.json.encode(body)
            run = make_run(run_id=f"gap-{number}")
            yield encode_message(make_result(2 * number, run, device="flood", epoch="gaps"))
            run = make_run(run_id=f"new-{number}")
            yield encode_message(make_result(1, run, device="flood", epoch=f"o-{number}"))
            if number % 10 == 0:
                large = make_run(run_id=f"large-{number}", samples_ms=samples)
                yield encode_message(make_result(number, large, device="flood"))


def memory_of(serve: ServeProcess) -> int:
    """Bytes that a collector and its link process have at this moment."""
    family = [psutil.Process(serve.process.pid)]
    family += family[0].children(recursive=True)
    return sum(one.memory_info().rss for one in family)


def test_a_device_that_floods_neither_stops_others_nor_fills_the_store(
    mosquitto: Mosquitto,
    start_serve: Callable[..., ServeProcess],
    database: Database,
    fault: MakeRow,
) -> None:
    row = fault(
        "one device sends as fast as it can (repeats, large, malformed, gaps, outboxes)",
        holds="others' results stored and acknowledged meanwhile; memory and rows bounded",
    )
    serve = start_serve("--broker", mosquitto.url, "-v")

    def batches() -> int:
        return serve.log.read_text().count(" stored results=")

    flood = Flood(mosquitto.url)
    with contextlib.closing(Outboxes(mosquitto.url, devices=DEVICES, each=EACH)) as outboxes:
        flood.start()
        try:
            assert eventually(lambda: flood.sent > _LEAST // 4)
            before = batches()
            outboxes.send()
            assert outboxes.deliver(within_s=120)
            took, most = batches() - before, memory_of(serve)
            assert eventually(lambda: flood.sent > _LEAST)
            most = max(most, memory_of(serve))
        finally:
            flood.stopping.set()
            flood.join()
        # It is over with the flood: what comes now is taken as ever.
        with contextlib.closing(Outboxes(mosquitto.url, devices=1, each=1, name="late")) as late:
            late.send()
            assert late.deliver(within_s=120)
        most = max(most, memory_of(serve))
    with database.reading() as connection:
        of_flood = sa.select(devices.c.id).where(devices.c.device == "flood").scalar_subquery()
        stored = sorted(
            connection.scalars(
                sa.select(results.c.run_id)
                .join(epochs, epochs.c.id == results.c.epoch_id)
                .join(devices, devices.c.id == epochs.c.device_id)
                .where(devices.c.device.like("d-%"))
            )
        )
        begun = connection.scalar(sa.select(sa.func.count()).where(epochs.c.device_id == of_flood))
        islands = connection.scalars(
            sa.select(epochs.c.islands).where(epochs.c.device_id == of_flood)
        )
        gaps = max(len(msgspec.json.decode(one)) for one in islands)
        kept, size, times = connection.execute(
            sa.select(
                sa.func.count(),
                sa.func.sum(sa.func.length(quarantine.c.payload)),
                sa.func.sum(quarantine.c.times),
            ).where(quarantine.c.device == "flood")
        ).one()
    assert stored == outboxes.run_ids
    assert (begun, gaps, kept) == (MOST_OUTBOXES, MOST_ISLANDS, MOST_MESSAGES + 1)
    assert size <= MOST_BYTES
    assert times >= flood.malformed
    assert took <= _BATCHES
    assert most < _MEMORY_BYTES
    assert serve.stop() == 0
    row.tried(flood.sent)
    row.came_to(
        f"{len(stored)} results of others within {took} batches beside "
        f"{flood.sent_bytes // _MEBIBYTE} MiB, {most // _MEBIBYTE} MiB of memory, "
        f"{kept} of {times} refused ones kept"
    )
