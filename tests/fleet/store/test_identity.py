"""Boxes that share one identity, and a box whose outbox was reset, told apart."""

from __future__ import annotations

import pytest

from contract.messages import Message, Presence, State, Tombstone, encode_message
from contract.topics import Leaf, topic_for
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.reports.identity import identity_words
from fleet.store.database import Database
from fleet.store.identity import Identity, IdentityStatus, identities_of
from fleet.store.roster import device_ids
from support.measurements import make_result, make_run

HOUR_S, DAY_S = 3600.0, 86_400.0
START = 1_700_000_000.0


class Site:
    """A store that hears one device's name, whoever uses it, by a clock that the test moves."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.now = START
        self._intake = Intake(database)

    def hear(self, *messages: Message, replayed: bool = False) -> None:
        """Store messages as one batch, a minute and a half after what came before."""
        self.now += 90.0
        leaves = [Leaf.STATE if isinstance(one, State) else Leaf.RESULT for one in messages]
        self._intake.take(
            [
                Delivery(
                    topic=topic_for("lab", "box", leaf),
                    payload=encode_message(one),
                    retained=False,
                    replayed=replayed,
                    received_at=self.now,
                )
                for one, leaf in zip(messages, leaves, strict=True)
            ],
            now=self.now,
        )

    def runs(self, epoch: str, *seqs: int, replayed: bool = False) -> None:
        """Hear results of an outbox."""
        results = [make_result(seq, make_run(run_id=f"{epoch}-{seq}"), epoch=epoch) for seq in seqs]
        self.hear(*results, replayed=replayed)

    @property
    def identity(self) -> Identity:
        with self.database.reading() as connection:
            (device_id,) = device_ids(connection)
            return identities_of(connection, [device_id], now=self.now)[device_id]

    @property
    def words(self) -> str:
        return identity_words("lab/box", self.identity) or ""


def born(boot: str, connection: int) -> State:
    return State(
        site="lab", device="box", presence=Presence.ONLINE, boot_id=boot,
        connection=connection, at=0.0,
    )  # fmt: skip


def dead(boot: str, connection: int) -> State:
    return State(
        site="lab", device="box", presence=Presence.OFFLINE, boot_id=boot,
        connection=connection, at=0.0,
    )  # fmt: skip


@pytest.fixture
def site(database: Database) -> Site:
    return Site(database)


def test_a_device_with_one_outbox_has_nothing_said_of_it(site: Site) -> None:
    site.runs("e-1", 1, 2)
    assert site.identity.status is IdentityStatus.OK
    assert site.words == ""


def test_outboxes_that_take_turns_are_two_boxes(site: Site) -> None:
    site.runs("e-1", 1, 2)
    for seq in (1, 2, 3):
        site.runs("e-2", seq)
        site.runs("e-1", 2 + seq)
    assert site.identity.status is IdentityStatus.CLONED
    assert site.identity.outbox_returns == 3
    assert "two boxes share this identity" in site.words
    assert "went on 3 times beside e-2" in site.words


def test_outboxes_that_take_turns_within_each_batch_are_two_boxes(site: Site) -> None:
    site.runs("e-1", 1)
    for seq in (1, 2, 3):
        site.hear(
            make_result(seq, make_run(run_id=f"b-{seq}"), epoch="e-2"),
            make_result(1 + seq, make_run(run_id=f"a-{seq}"), epoch="e-1"),
        )
    # In the first of these batches, the second outbox was new.
    assert site.identity.outbox_returns == 2


def test_an_outbox_that_replaces_another_for_good_is_a_reset(site: Site) -> None:
    site.runs("e-1", 1, 2, 5)
    site.runs("e-2", 1)
    site.runs("e-2", 2, 3)
    assert site.identity.status is IdentityStatus.RESET
    assert "outbox reset on " in site.words
    assert "e-2 after e-1; 2 places of what was before never came, and will not" in site.words


def test_a_reset_that_left_nothing_behind_is_told_for_a_month(site: Site) -> None:
    site.runs("e-1", 1, 2)
    site.runs("e-2", 1)
    assert "what was before is complete" in site.words
    site.now += 31 * DAY_S
    assert site.identity.status is IdentityStatus.OK
    assert site.words == ""


def test_messages_of_the_old_outbox_that_were_on_their_way_are_no_second_box(site: Site) -> None:
    """They come between those of the new one, as several collectors may store them."""
    site.runs("e-1", 1)
    site.runs("e-2", 1)
    for seq in (2, 3, 4):
        site.now -= 89.0
        site.runs("e-1", seq)
        site.now -= 89.0
        site.runs("e-2", seq)
    assert site.identity.outbox_returns == 0


def test_what_a_broker_held_for_long_is_no_second_box(site: Site) -> None:
    site.runs("e-1", 1)
    site.runs("e-2", 1)
    site.now += HOUR_S
    site.runs("e-1", 2, 3, 4)
    site.runs("e-2", 2)
    assert site.identity.status is IdentityStatus.RESET


def test_an_outbox_that_its_agent_gave_up_is_a_reset(site: Site) -> None:
    """What was stored and never acknowledged comes again from the new one."""
    site.runs("e-1", 1, 2, 3)
    site.hear(
        *(make_result(seq, make_run(run_id=f"e-1-{seq + 1}"), epoch="e-2") for seq in (1, 2)),
        make_result(3, make_run(run_id="new"), epoch="e-2"),
    )
    site.now += HOUR_S
    # The broker still held one of the old outbox.
    site.runs("e-1", 3)
    site.runs("e-2", 4)
    assert site.identity.status is IdentityStatus.RESET
    assert "share" not in site.words


def test_refused_messages_that_are_replayed_are_no_second_box(site: Site) -> None:
    site.runs("e-1", 1)
    for seq in (1, 2, 3):
        site.runs("e-2", seq)
        site.runs("e-1", 1 + seq, replayed=True)
    assert site.identity.outbox_returns == 0


def test_repeated_messages_of_an_old_outbox_are_no_second_box(site: Site) -> None:
    site.runs("e-1", 1, 2)
    for seq in (1, 2, 3):
        site.runs("e-2", seq)
        site.runs("e-1", 1, 2)
    assert site.identity.status is IdentityStatus.RESET


def test_agents_that_push_each_other_off_the_broker_are_two_boxes(site: Site) -> None:
    for connection in (1, 2, 3):
        site.hear(born("boot-a", connection), dead("boot-b", connection))
        site.hear(born("boot-b", connection), dead("boot-a", connection))
    assert site.identity.status is IdentityStatus.CLONED
    assert "connected anew 2 times" in site.words


def test_an_agent_that_starts_again_and_again_is_one_box(site: Site) -> None:
    for number in range(20):
        site.hear(born(f"boot-{number}", 1))
        site.hear(born(f"boot-{number}", 2))
        # Last wills come late, and a collector that was killed hears the birth once more.
        site.hear(dead(f"boot-{number - 1}", 2), born(f"boot-{number - 1}", 2))
        site.hear(born(f"boot-{number}", 2))
        site.runs("e-1", number + 1)
    assert site.identity == Identity()


def test_a_second_box_that_got_its_own_name_is_forgotten_after_a_month(site: Site) -> None:
    site.runs("e-1", 1)
    for seq in (1, 2, 3):
        site.runs("e-2", seq)
        site.runs("e-1", 1 + seq)
    site.now += 31 * DAY_S
    assert site.identity.status is IdentityStatus.OK


def test_closed_places_count_as_use_of_an_outbox(site: Site) -> None:
    site.runs("e-1", 1)
    for seq in (1, 2, 3):
        site.runs("e-2", seq)
        site.hear(
            Tombstone(
                site="lab", device="box", epoch="e-1", seq=1 + seq, last_seq=1 + seq, reason="full"
            )
        )
    assert site.identity.status is IdentityStatus.CLONED


def test_outboxes_that_begin_alike_are_told_apart(site: Site) -> None:
    site.runs("sim-18ed-0001", 1)
    site.runs("sim-18ed-0002", 1)
    assert ": sim-18ed-0002 after sim-18ed-0001;" in site.words
