"""Ten thousand malformed messages among ten thousand good ones, by way of a broker."""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from benchmarks.lib.malformed import Message, mutated
from contract.topics import Leaf, topic_for
from fleet.store.database import Database
from fleet.store.roster import list_devices
from fleet.store.schema import quarantine, results
from support.brokers import Mosquitto
from support.collectors import ServeProcess
from support.devices import DeviceClient, eventually
from support.faults.malformed import drawn
from support.faults.table import Row
from support.measurements import make_result
from support.outboxes import Outboxes
from support.stores import ON_BOTH

pytestmark = ON_BOTH

MakeRow = Callable[..., Row]
DEVICES, EACH = 100, 100
DRAWN, MUTATED = 1_000, 9_000
_BURSTS = 20


@pytest.fixture(scope="module")
def bad() -> list[Message]:
    """Malformed messages; half of the devices that they are of say good things too."""
    draw = random.Random(7)  # noqa: S311 - no secret
    names = [*(f"d-{n}" for n in range(DEVICES)), *(f"bad-{n}" for n in range(DEVICES - 1)), "Bad!"]

    def any_topic(leaf: str) -> str:
        return f"edgewright/v1/lab/{draw.choice(names)}/{leaf}"

    topics = [topic_for("lab", f"bad-{n}", Leaf.RESULT) for n in range(DEVICES)]
    made = drawn(topics, DRAWN) + mutated(any_topic, MUTATED, draw)
    draw.shuffle(made)
    # In another outbox than the good ones: a place that is refused is closed.
    return [(topic, payload.replace(b'"e-1"', b'"e-9"')) for topic, payload in made]


def test_every_good_message_is_stored_and_every_malformed_one_put_away(
    mosquitto: Mosquitto,
    start_serve: Callable[..., ServeProcess],
    database: Database,
    store_url: str,
    bad: list[Message],
    fault: MakeRow,
) -> None:
    kind = store_url.split(":", maxsplit=1)[0]
    row = fault(
        f"10,000 malformed messages among 10,000 good ones ({kind})",
        holds="good ones stored and acknowledged, each bad one in quarantine, nothing else",
    )
    serve = start_serve("--broker", mosquitto.url)
    with (
        contextlib.closing(Outboxes(mosquitto.url, devices=DEVICES, each=EACH)) as outboxes,
        contextlib.closing(DeviceClient(mosquitto.url, "lab", "speaker")) as speaker,
    ):
        for burst in range(_BURSTS):
            share = EACH // _BURSTS
            outboxes.send(after=share * burst, up_to=share * (burst + 1))
            for topic, payload in bad[burst::_BURSTS]:
                speaker.publish(topic, payload)
                row.tried()
        assert outboxes.deliver(within_s=120)

        def refused() -> set[tuple[str, str]]:
            with database.reading() as connection:
                columns = quarantine.c.topic, quarantine.c.payload_sha256
                return {
                    (topic, digest) for topic, digest in connection.execute(sa.select(*columns))
                }

        expected = {(topic, hashlib.sha256(payload).hexdigest()) for topic, payload in bad}
        assert eventually(lambda: refused() == expected)
        with database.reading() as connection:
            stored = sorted(connection.scalars(sa.select(results.c.run_id)))
            rows = connection.execute(sa.select(quarantine)).mappings().all()
            known = list_devices(connection)
        assert stored == outboxes.run_ids
        assert all(one["reason"] for one in rows)
        assert len(rows) == len(expected)
        assert all(device.inventory is None and device.presence is None for device in known)
        # It still stores, and still ends in order.
        last = DeviceClient(mosquitto.url, "lab", "last")
        with contextlib.closing(last):
            last.send(make_result(1, device="last"))
            assert eventually(lambda: last.is_acked(1))
    assert serve.stop() == 0
    row.came_to(f"{len(stored)} stored and acknowledged, {len(rows)} in quarantine")
