"""Which of a device's outboxes an acknowledgement names."""

from __future__ import annotations

import hashlib

import pytest

from contract.messages import MAX_MESSAGE_BYTES, Ack, Result, encode_message
from contract.topics import Leaf, topic_for
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.acks import acks_of
from fleet.store.database import Database
from fleet.store.roster import device_ids
from support.measurements import make_result, make_run
from support.stores import ON_BOTH

pytestmark = ON_BOTH

LATER_OUTBOXES = 12


class Fleet:
    """The fleet's end, to which one device says something now and then."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._intake = Intake(database)
        self._now = 1_000.0

    def hear(self, *messages: Result) -> Ack:
        """Store messages as one batch; the ack that follows."""
        self._now += 60
        topic = topic_for("lab", "box", Leaf.RESULT)
        receipt = self._intake.take(
            [
                Delivery(
                    topic=topic,
                    payload=encode_message(one),
                    retained=False,
                    received_at=self._now,
                )
                for one in messages
            ],
            now=self._now,
        )
        (ack,) = self._intake.acks(receipt.to_ack, now=self._now)
        return ack

    def greeting(self) -> Ack:
        """The ack that is published when the collector connects."""
        with self.database.reading() as connection:
            (ack,) = acks_of(connection, device_ids(connection), self._now)
        return ack


@pytest.fixture
def fleet(database: Database) -> Fleet:
    """A fleet whose device had an outbox `old`, and many after it."""
    fleet = Fleet(database)
    fleet.hear(make_result(1, make_run(run_id="old-1"), epoch="old"))
    for number in range(LATER_OUTBOXES):
        epoch = f"new-{number}"
        fleet.hear(make_result(1, make_run(run_id=epoch), epoch=epoch))
    return fleet


def test_an_outbox_that_is_used_again_is_named_however_many_came_after_it(fleet: Fleet) -> None:
    assert "old" not in fleet.greeting().epochs
    ack = fleet.hear(make_result(2, make_run(run_id="old-2"), epoch="old"))
    assert ack.epochs["old"].through == 2
    assert fleet.greeting().epochs["old"].through == 2


def test_a_message_that_came_before_is_acknowledged_once_more(fleet: Fleet) -> None:
    ack = fleet.hear(make_result(1, make_run(run_id="old-1"), epoch="old"))
    assert ack.epochs["old"].through == 1


def test_other_bytes_for_a_place_of_an_old_outbox_are_named_with_what_is_stored(
    fleet: Fleet,
) -> None:
    stored = encode_message(make_result(1, make_run(run_id="old-1"), epoch="old"))
    ack = fleet.hear(make_result(1, make_run(run_id="another"), epoch="old"))
    (place,) = ack.epochs["old"].stored
    assert (place.seq, place.sha256) == (1, hashlib.sha256(stored).hexdigest())


def test_a_refused_message_of_an_old_outbox_is_named_with_its_rejection(fleet: Fleet) -> None:
    broken = make_result(2, make_run(run_id="a\0b"), epoch="old")
    ack = fleet.hear(broken)
    assert [one.seq for one in ack.epochs["old"].rejected] == [2]


def test_the_outboxes_used_last_come_first(fleet: Fleet) -> None:
    fleet.hear(make_result(2, make_run(run_id="again"), epoch="new-3"))
    assert next(iter(fleet.greeting().epochs)) == "new-3"


def test_an_ack_names_as_many_outboxes_as_a_message_holds(fleet: Fleet) -> None:
    used = [f"{number:03d}-{'x' * 60}" for number in range(900)]
    ack = fleet.hear(
        *(make_result(1, make_run(run_id=epoch), epoch=epoch) for epoch in used),
    )
    assert len(encode_message(ack)) <= MAX_MESSAGE_BYTES
    assert len(ack.epochs) > len(used) / 2
    assert set(ack.epochs) <= set(used)
