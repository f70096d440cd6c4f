"""What becomes of each message, good and bad."""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contract.messages import (
    MAX_MESSAGE_BYTES,
    Ack,
    Presence,
    State,
    Tombstone,
    encode_message,
)
from contract.topics import Leaf
from fleet.choosing.figures import p95_interval_in
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Accepted, Delivery, read_delivery
from fleet.store.acks import ACKED_REJECTIONS
from fleet.store.database import Database
from fleet.store.outbox import MOST_OUTBOXES
from fleet.store.quarantine import (
    MOST_BYTES,
    MOST_MESSAGES,
    Quarantined,
    list_quarantine,
)
from fleet.store.roster import Device, completeness_of_each, find_device, list_devices
from fleet.store.schema import devices, epochs, quarantine, rejections, results, samples
from fleet.store.watermark import MOST_ISLANDS
from support.measurements import make_inventory, make_result, make_run
from support.stores import ON_BOTH

pytestmark = ON_BOTH

GOLDEN = Path(__file__).parents[2] / "contract" / "golden"
TOPIC = "edgewright/v1/lab/box/result"
OTHER_TOPIC = "edgewright/v1/lab/other/result"


def deliver(payload: bytes, topic: str = TOPIC, *, retained: bool = False) -> Delivery:
    return Delivery(topic=topic, payload=payload, retained=retained, received_at=50.0)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of a batch, and what devices are told then."""

    stored: int
    duplicates: int
    quarantined: int
    acks: list[Ack]


def take(database: Database, *deliveries: Delivery) -> Taken:
    intake = Intake(database)
    receipt = intake.take(deliveries, now=100.0)
    return Taken(
        stored=receipt.stored,
        duplicates=receipt.duplicates,
        quarantined=receipt.quarantined,
        acks=intake.acks(receipt.to_ack, now=100.0),
    )


def refused(database: Database) -> list[Quarantined]:
    with database.reading() as connection:
        return list_quarantine(connection, limit=100)


def stored_seqs(database: Database) -> list[int]:
    with database.reading() as connection:
        return list(connection.scalars(sa.select(results.c.seq).order_by(results.c.seq)))


def the_device(database: Database) -> Device:
    with database.reading() as connection:
        return find_device(list_devices(connection), "lab/box")


def test_results_are_stored_and_acknowledged_in_order(database: Database) -> None:
    receipt = take(database, *(deliver(encode_message(make_result(n))) for n in (1, 2, 3)))
    (ack,) = receipt.acks
    assert (receipt.stored, ack.epochs["e-1"].through) == (3, 3)
    assert stored_seqs(database) == [1, 2, 3]


def test_a_gap_holds_the_acknowledgement_back_until_it_is_filled(database: Database) -> None:
    first = take(database, *(deliver(encode_message(make_result(n))) for n in (1, 3, 4)))
    assert first.acks[0].epochs["e-1"].through == 1
    with database.reading() as connection:
        device = the_device(database)
        assert completeness_of_each(connection, [device])[device.id].missing == 1
    second = take(database, deliver(encode_message(make_result(2))))
    assert second.acks[0].epochs["e-1"].through == 4


def test_a_duplicate_is_stored_once_and_acknowledged_again(database: Database) -> None:
    again = deliver(encode_message(make_result(1)))
    take(database, again, again)
    receipt = take(database, again)
    assert (receipt.stored, receipt.duplicates) == (0, 1)
    assert receipt.acks[0].epochs["e-1"].through == 1
    assert stored_seqs(database) == [1]


def test_the_same_place_with_other_bytes_goes_to_quarantine(database: Database) -> None:
    take(database, deliver(encode_message(make_result(1))))
    other = encode_message(make_result(1, make_run("net-p10")))
    receipt = take(database, deliver(other))
    assert (receipt.stored, receipt.quarantined) == (0, 1)
    assert "share one identity" in refused(database)[0].reason
    assert receipt.acks[0].epochs["e-1"].rejected == []


def test_two_outboxes_of_one_device_are_counted_apart(database: Database) -> None:
    receipt = take(
        database,
        deliver(encode_message(make_result(1))),
        deliver(encode_message(make_result(1, epoch="e-2"))),
        deliver(encode_message(make_result(2, epoch="e-2"))),
    )
    through = {epoch: ack.through for epoch, ack in receipt.acks[0].epochs.items()}
    assert through == {"e-1": 1, "e-2": 2}


def test_a_tombstone_closes_its_range(database: Database) -> None:
    stone = Tombstone(
        site="lab", device="box", epoch="e-1", seq=2, last_seq=9, reason="outbox full"
    )
    message = deliver(encode_message(stone))
    take(database, deliver(encode_message(make_result(1))), message)
    receipt = take(database, message)
    assert (receipt.duplicates, receipt.acks[0].epochs["e-1"].through) == (1, 9)


def test_a_tombstone_that_ends_before_it_starts_is_rejected(database: Database) -> None:
    stone = Tombstone(site="lab", device="box", epoch="e-1", seq=1, last_seq=1, reason="x")
    backwards = (
        encode_message(stone)
        .replace(b'"last_seq":1', b'"last_seq":0')
        .replace(b'"seq":1', b'"seq":5')
    )
    assert take(database, deliver(backwards)).quarantined == 1


def test_a_broken_body_that_shows_its_place_is_rejected_and_closed(database: Database) -> None:
    body = msgspec.to_builtins(make_result(1))
    body["run"]["threads"] = "many"
    receipt = take(
        database,
        deliver(msgspec.json.encode(body)),
        deliver(encode_message(make_result(2))),
    )
    epoch = receipt.acks[0].epochs["e-1"]
    assert epoch.through == 2
    assert [(one.seq, "threads" in one.reason) for one in epoch.rejected] == [(1, True)]


def test_a_rejected_place_that_comes_again_in_order_is_stored_after_all(
    database: Database,
) -> None:
    good = encode_message(make_result(1))
    take(database, deliver(good.replace(b'"threads":1', b'"threads":"1"')))
    receipt = take(database, deliver(good))
    assert (receipt.stored, receipt.acks[0].epochs["e-1"].rejected) == (1, [])


def test_a_message_under_another_devices_topic_is_quarantined_and_closes_nothing(
    database: Database,
) -> None:
    foreign = encode_message(make_result(1, device="other"))
    receipt = take(database, deliver(foreign))
    assert (receipt.quarantined, receipt.acks) == (1, [])
    assert "'lab/other' came under the topic of 'lab/box'" in refused(database)[0].reason


def test_a_message_that_is_too_large_is_quarantined_with_a_bounded_payload(
    database: Database,
) -> None:
    body = msgspec.to_builtins(make_result(1))
    body["run"]["notes"] = ["x" * MAX_MESSAGE_BYTES]
    receipt = take(database, deliver(msgspec.json.encode(body)))
    (kept,) = refused(database)
    assert "expected at most 262144" in kept.reason
    assert kept.payload_bytes > MAX_MESSAGE_BYTES
    assert receipt.acks[0].epochs["e-1"].through == 1


def test_the_same_refused_bytes_again_only_count_up(database: Database) -> None:
    for _ in range(3):
        take(database, deliver(b"not json"))
    assert [one.times for one in refused(database)] == [3]


def test_of_a_device_that_floods_a_bounded_number_is_kept_and_the_rest_is_counted(
    database: Database,
) -> None:
    """The same for all that names no device; what is kept already goes on counting up."""
    for first in range(0, MOST_MESSAGES + 20, 500):
        numbers = range(first, min(first + 500, MOST_MESSAGES + 20))
        take(database, *(deliver(b"not json %d" % number) for number in numbers))
        take(database, *(deliver(b"not json %d" % number, f"a/{number}") for number in numbers))
    take(database, deliver(b"not json 0"), deliver(b"new"), deliver(b"{}", OTHER_TOPIC))
    for name, expected in (("box", MOST_MESSAGES + 1), (None, MOST_MESSAGES + 1), ("other", 1)):
        with database.reading() as connection:
            rows = connection.execute(
                sa.select(quarantine.c.topic, quarantine.c.times, quarantine.c.payload_bytes)
                .where(quarantine.c.device.is_not_distinct_from(name))
                .order_by(quarantine.c.id)
            ).all()
        assert len(rows) == expected
        if name == "box":
            assert sorted(row.times for row in rows) == [*[1] * (MOST_MESSAGES - 1), 2, 21]
            assert rows[-1] == ("edgewright/v1/lab/box/+", 21, 20 * len("not json 1000") + 3)
        if name is None:
            assert rows[-1].topic == "edgewright/v1/+/+/+"


def test_refused_messages_of_a_device_are_kept_up_to_a_size(database: Database) -> None:
    """Those beyond it are counted; a message is in for as much as is kept of it."""
    for number in range(MOST_BYTES // MAX_MESSAGE_BYTES + 2):
        take(database, deliver(b"%03d" % number + b"x" * (MAX_MESSAGE_BYTES + 10)))
    with database.reading() as connection:
        size = connection.scalar(sa.select(sa.func.sum(sa.func.length(quarantine.c.payload))))
        times = connection.scalars(sa.select(quarantine.c.times).order_by(quarantine.c.id)).all()
    assert size == MOST_BYTES
    assert list(times) == [1] * (MOST_BYTES // MAX_MESSAGE_BYTES) + [2]


def test_a_device_may_leave_so_many_gaps_and_no_more(database: Database) -> None:
    """What would leave one more is put away, and taken once it leaves none."""
    far = [make_result(2 * number) for number in range(1, MOST_ISLANDS + 2)]
    receipt = take(database, *(deliver(encode_message(one)) for one in far))
    assert (receipt.stored, receipt.quarantined) == (MOST_ISLANDS, 1)
    assert "expected what is missing first" in refused(database)[0].reason
    near = [make_result(2 * number - 1) for number in range(1, MOST_ISLANDS + 2)]
    take(database, *(deliver(encode_message(one)) for one in near))
    receipt = take(database, deliver(encode_message(far[-1])))
    assert (receipt.stored, receipt.quarantined) == (1, 0)
    assert receipt.acks[0].epochs["e-1"].through == 2 * MOST_ISLANDS + 2


def test_a_device_may_begin_so_many_outboxes_and_no_more(database: Database) -> None:
    """Those that it has go on."""
    firsts = [make_result(1, epoch=f"e-{number}") for number in range(MOST_OUTBOXES + 3)]
    receipt = take(database, *(deliver(encode_message(one)) for one in firsts))
    assert receipt.quarantined == 3
    assert {one.reason.partition("expected")[2] for one in refused(database)} == {
        f" one of the {MOST_OUTBOXES} that this device had"
    }
    with database.reading() as connection:
        known = set(connection.scalars(sa.select(epochs.c.epoch)))
    run = make_run(run_id="another")
    second = make_result(2, run, epoch=min(known))
    assert take(database, deliver(encode_message(second))).stored == 1


def test_of_rejections_those_are_kept_that_an_ack_can_name(database: Database) -> None:
    spoilt = [
        encode_message(make_result(seq)).replace(b'"threads":1', b'"threads":"1"')
        for seq in range(1, 2 * ACKED_REJECTIONS)
    ]
    take(database, *map(deliver, spoilt[:-10]))
    ack = take(database, *map(deliver, spoilt[-10:])).acks[0].epochs["e-1"]
    named = [one.seq for one in ack.rejected]
    assert named == list(range(len(spoilt) - ACKED_REJECTIONS + 1, len(spoilt) + 1))
    assert ack.through == len(spoilt)
    with database.reading() as connection:
        kept = connection.scalar(sa.select(sa.func.count()).select_from(rejections))
    assert kept == ACKED_REJECTIONS
    # A place that comes again in order is stored, and rejected no more.
    ack = take(database, deliver(encode_message(make_result(named[-1])))).acks[0].epochs["e-1"]
    assert named[-1] not in [one.seq for one in ack.rejected]


def test_a_text_that_no_database_keeps_is_refused_by_itself(database: Database) -> None:
    """PostgreSQL refuses U+0000, which would be found out only for a whole batch."""
    spoilt = encode_message(make_result(1)).replace(b'"run_id":"', b'"run_id":"\\u0000')
    take(database, deliver(spoilt))
    assert "U+0000" in refused(database)[0].reason
    # The reason may quote it too.
    spoilt = encode_message(make_result(3)).replace(b'"status":"', b'"status":"\\u0000')
    assert take(database, deliver(spoilt)).quarantined == 1
    harmless = encode_message(make_result(2)).replace(b'"seq"', b'"unknown":"\\u0000","seq"')
    assert take(database, deliver(harmless)).stored == 1


def test_a_number_beyond_the_database_is_quarantined_alone(database: Database) -> None:
    huge = encode_message(make_result(2)).replace(b'"threads":1', b'"threads":' + b"9" * 40)
    receipt = take(
        database,
        deliver(encode_message(make_result(1))),
        deliver(huge),
        deliver(encode_message(make_result(3))),
    )
    assert (receipt.stored, receipt.quarantined) == (2, 1)
    assert receipt.acks[0].epochs["e-1"].through == 3
    assert stored_seqs(database) == [1, 3]


def test_a_device_that_was_removed_meanwhile_is_met_anew(database: Database) -> None:
    """A collector remembers the numbers of devices; the store has the last word."""
    intake = Intake(database)
    intake.take([deliver(encode_message(make_result(1)))], now=100.0)
    with database.writing() as connection:
        for table in (results, epochs, devices):
            connection.execute(sa.delete(table))
    receipt = intake.take([deliver(encode_message(make_result(n))) for n in (1, 2)], now=101.0)
    assert (receipt.stored, receipt.quarantined) == (2, 0)
    assert stored_seqs(database) == [1, 2]


def test_raw_samples_are_kept_beside_the_run(database: Database) -> None:
    latencies = [float(n) for n in range(1, 101)]
    take(database, deliver(encode_message(make_result(1, make_run(samples_ms=latencies)))))
    with database.reading() as connection:
        packed = connection.scalar(sa.select(samples.c.latencies_ms))
        row = connection.execute(sa.select(results)).one()
    assert list(struct.unpack("<100d", packed or b"")) == latencies
    interval = p95_interval_in(row.figures)
    assert interval is not None
    assert interval.low <= 95 <= interval.high
    assert msgspec.json.decode(row.run)["samples_ms"] == []


def test_retained_messages_are_no_sign_of_life(database: Database) -> None:
    inventory = encode_message(make_inventory())
    topic = f"edgewright/v1/lab/box/{Leaf.INVENTORY.value}"
    take(database, deliver(inventory, topic, retained=True))
    assert the_device(database).last_seen_at is None
    take(database, deliver(inventory, topic))
    assert the_device(database).last_seen_at == 50.0


def test_a_result_that_was_published_retained_is_put_away_and_its_place_stays_open(
    database: Database,
) -> None:
    result = encode_message(make_result(1))
    kept = take(database, deliver(result, retained=True))
    (refusal,) = refused(database)
    with database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(rejections)) == 0
    live = take(database, deliver(result))
    assert (kept.stored, kept.quarantined, live.stored) == (0, 1, 1)
    assert "published retained" in refusal.reason
    assert live.acks[0].epochs["e-1"].through == 1


def test_a_broker_that_is_gone_leaves_nobody_online(database: Database) -> None:
    birth = State(
        site="lab", device="box", presence=Presence.ONLINE, boot_id="b", connection=1, at=1
    )
    take(database, deliver(encode_message(birth), "edgewright/v1/lab/box/state"))
    assert the_device(database).presence is Presence.ONLINE
    Intake(database).disconnect_all()
    assert the_device(database).presence is Presence.OFFLINE


def golden_messages() -> list[tuple[str, bytes]]:
    found = []
    for path in sorted(GOLDEN.glob("*.json")):
        body = msgspec.json.decode(path.read_bytes())
        leaf = "result" if path.stem == "tombstone" else path.stem
        found.append((f"edgewright/v1/{body['site']}/{body['device']}/{leaf}", path.read_bytes()))
    return found


@st.composite
def mutations(draw: st.DrawFn) -> tuple[str, bytes]:
    topic, payload = draw(st.sampled_from(golden_messages()))
    data = bytearray(payload)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["cut", "flip", "insert", "digits"])):
            case "cut":
                del data[at:]
            case "flip":
                data[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case "insert":
                data[at:at] = draw(st.sampled_from([b'"', b"{", b"[" * 2000, b"\xff", b"\\ud800"]))
            case "digits":
                data[at:at] = draw(st.sampled_from([b"9" * 30, b"-1", b"1e999", b"null"]))
    return draw(st.sampled_from([topic, "edgewright/v1/x/y/result", "a/b", "\ud800/\0"])), bytes(
        data
    )


@given(st.lists(mutations() | st.tuples(st.just(TOPIC), st.binary(max_size=50)), max_size=12))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_malformed_messages_among_good_ones_cost_no_good_one(
    database: Database, bad: list[tuple[str, bytes]]
) -> None:
    device = f"d-{uuid.uuid4().hex}"
    topic = f"edgewright/v1/lab/{device}/result"
    stream = [deliver(encode_message(make_result(1, device=device)), topic)]
    for number, (where, payload) in enumerate(bad, start=2):
        stream.append(deliver(payload, where))
        stream.append(deliver(encode_message(make_result(number, device=device)), topic))
    receipt = take(database, *stream)
    ack = next(one for one in receipt.acks if one.device == device)
    assert ack.epochs["e-1"].through == len(bad) + 1
    undecodable = sum(not isinstance(read_delivery(one), Accepted) for one in stream)
    assert receipt.quarantined >= undecodable


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"\xff\xfe", b'{"type":"result"}'])
def test_anything_that_is_no_message_is_quarantined_with_a_reason(
    database: Database, payload: bytes
) -> None:
    assert take(database, deliver(payload)).quarantined == 1
    assert refused(database)[0].reason


def test_words_of_strangers_stay_on_one_readable_line_of_the_log(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """A topic with a line break or a lone surrogate can neither forge a line nor break it."""
    take(database, deliver(b"{}", "a/b\n2026-01-01 forged line\ud800"))
    (record,) = caplog.records
    line = record.getMessage()
    assert line.encode("ascii")
    assert "\n" not in line
