"""The outbox: nothing acknowledged is sent again, nothing unacknowledged is forgotten."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.errors import JournalFullError
from agent.journal import Journal
from agent.outbox import Outbox
from contract.messages import EpochAck, Rejection, Result, Tombstone, encode_message
from support.measurements import make_run

MEGABYTE = 1_000_000


def open_outbox(folder: Path, limit_bytes: int = 64 * MEGABYTE) -> tuple[Journal, Outbox]:
    """An outbox on the disk."""
    journal = Journal(folder / "agent.sqlite", limit_bytes=limit_bytes)
    return journal, Outbox(journal, site="lab", device="box")


def append(journal: Journal, outbox: Outbox, run_id: str, *, samples: int = 0) -> int:
    """Put one run into the outbox."""
    run = make_run(run_id=run_id, samples_ms=[1.25] * samples)
    with journal.transaction() as connection:
        return outbox.append(connection, run)


def decoded(payload: bytes) -> Result | Tombstone:
    """A message of the outbox."""
    return msgspec.json.decode(payload, type=Result | Tombstone)


class Delivery(RuleBasedStateMachine):
    """An outbox and a fleet's store, with losses, repetitions, restarts and backups between."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name)
        self.journal, self.outbox = open_outbox(self.path)
        self.epoch = self.outbox.epoch
        self.measured: list[str] = []
        self.store: dict[int, bytes] = {}
        self.backup: dict[int, bytes] = {}

    def teardown(self) -> None:
        """Close the files."""
        self.journal.close()
        self._folder.cleanup()

    @property
    def through(self) -> int:
        """What the store holds without a gap."""
        through = 0
        while through + 1 in self.store:
            through += 1
        return through

    @rule()
    def measure(self) -> None:
        self.measured.append(f"run-{len(self.measured)}")
        assert append(self.journal, self.outbox, self.measured[-1]) == len(self.measured)

    @rule(losses=st.lists(st.booleans(), min_size=8, max_size=8))
    def deliver(self, losses: list[bool]) -> None:
        for parcel, is_lost in zip(self.outbox.pending(8), losses, strict=False):
            if not is_lost:
                known = self.store.setdefault(parcel.seq, parcel.payload)
                assert known == parcel.payload, "the same place came with other bytes"

    @rule()
    def acknowledge(self) -> None:
        self.outbox.acknowledge(EpochAck(through=self.through))

    @rule()
    def back_up(self) -> None:
        self.backup = dict(self.store)

    @rule()
    def restore_the_backup(self) -> None:
        self.store = dict(self.backup)

    @rule()
    def restart(self) -> None:
        self.journal.close()
        self.journal, self.outbox = open_outbox(self.path)

    @precondition(lambda self: self.measured)
    @rule()
    def deliver_everything(self) -> None:
        self.outbox.acknowledge(EpochAck(through=self.through))
        while parcels := self.outbox.pending(3):
            for parcel in parcels:
                self.store[parcel.seq] = parcel.payload
            self.outbox.acknowledge(EpochAck(through=self.through))
        stored = [decoded(self.store[seq]) for seq in sorted(self.store)]
        assert [r.run.run_id for r in stored if isinstance(r, Result)] == self.measured

    @invariant()
    def it_stays_the_same_outbox(self) -> None:
        assert self.outbox.epoch == self.epoch


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)


def test_what_is_sent_again_has_the_same_bytes(tmp_path: Path) -> None:
    """The fleet takes other bytes in the same place for a second device."""
    journal, outbox = open_outbox(tmp_path)
    append(journal, outbox, "run-1", samples=10)
    (first,) = outbox.pending(8)
    journal.close()
    journal, outbox = open_outbox(tmp_path)
    (second,) = outbox.pending(8)
    assert first == second
    result = decoded(first.payload)
    assert isinstance(result, Result)
    assert encode_message(result) == first.payload


def test_messages_on_their_way_are_left_out(tmp_path: Path) -> None:
    """Asking for more gives the next ones."""
    journal, outbox = open_outbox(tmp_path)
    for number in range(5):
        append(journal, outbox, f"run-{number}")
    assert [p.seq for p in outbox.pending(2, besides=[1, 3])] == [2, 4]


def test_a_rejected_result_is_not_sent_again(tmp_path: Path) -> None:
    """It is closed even while an earlier one is missing."""
    journal, outbox = open_outbox(tmp_path)
    for number in range(3):
        append(journal, outbox, f"run-{number}")
    outbox.acknowledge(EpochAck(through=0, rejected=[Rejection(seq=2, reason="odd")]))
    assert [p.seq for p in outbox.pending(8)] == [1, 3]


def test_places_that_the_fleet_lost_and_the_device_forgot_are_closed(tmp_path: Path) -> None:
    """A tombstone stands for them, else the fleet would wait for ever."""
    journal, outbox = open_outbox(tmp_path)
    for number in range(6):
        append(journal, outbox, f"run-{number}")
    outbox.acknowledge(EpochAck(through=5))
    outbox.make_room()  # forgets the older half of what is acknowledged
    outbox.acknowledge(EpochAck(through=1))
    messages = [decoded(parcel.payload) for parcel in outbox.pending(8)]
    assert isinstance(messages[0], Tombstone)
    assert (messages[0].seq, messages[0].last_seq) == (2, 3)
    assert [m.seq for m in messages[1:]] == [4, 5, 6]


def test_an_outbox_that_is_behind_the_fleet_starts_a_new_epoch(tmp_path: Path) -> None:
    """Its disk was restored: the next places are taken already."""
    journal, outbox = open_outbox(tmp_path)
    append(journal, outbox, "run-1")
    before = outbox.epoch
    outbox.acknowledge(EpochAck(through=40))
    assert outbox.epoch != before
    (parcel,) = outbox.pending(8)
    result = decoded(parcel.payload)
    assert isinstance(result, Result)
    assert (result.epoch, result.seq, result.run.run_id) == (outbox.epoch, 1, "run-1")


def test_a_given_up_outbox_moves_what_is_not_acknowledged_and_that_once_a_day(
    tmp_path: Path,
) -> None:
    journal, outbox = open_outbox(tmp_path)
    for number in range(4):
        append(journal, outbox, f"run-{number}")
    outbox.acknowledge(EpochAck(through=1, rejected=[Rejection(seq=3, reason="no")]))
    before = outbox.epoch
    assert outbox.give_up(now=1_000.0)
    moved = [decoded(one.payload) for one in outbox.pending(10)]
    assert [(one.seq, one.run.run_id) for one in moved if isinstance(one, Result)] == [
        (1, "run-1"),
        (2, "run-3"),
    ]
    after = outbox.epoch
    journal.close()
    # The clock was set back by an hour, and the agent started again.
    journal, outbox = open_outbox(tmp_path)
    assert not outbox.give_up(now=1_000.0 - 3_600.0)
    assert not outbox.give_up(now=1_000.0 + 86_399.0)
    assert (before != after, outbox.epoch == after) == (True, True)
    assert outbox.give_up(now=1_000.0 + 86_400.0)
    journal.close()


def test_a_full_outbox_drops_superseded_results_first_and_says_so(tmp_path: Path) -> None:
    """The newest result of every variant stays; a tombstone stands for what went."""
    journal, outbox = open_outbox(tmp_path)
    for variant in ("old", "net", "net", "net"):
        with journal.transaction() as connection:
            outbox.append(connection, make_run(variant))
    outbox.make_room()
    old, stone, net = [decoded(parcel.payload) for parcel in outbox.pending(8)]
    assert isinstance(stone, Tombstone)
    assert (old.seq, stone.seq, stone.last_seq, net.seq) == (1, 2, 3, 4)
    assert stone.reason == "outbox full, superseded dropped"
    outbox.make_room()  # nothing is superseded any more: the oldest goes
    stone, net = [decoded(parcel.payload) for parcel in outbox.pending(8)]
    assert isinstance(stone, Tombstone)
    assert (stone.seq, stone.last_seq, net.seq) == (1, 3, 4)
    assert stone.reason == "outbox full, oldest dropped; outbox full, superseded dropped"
    outbox.make_room()
    with pytest.raises(JournalFullError, match="nothing that could be dropped"):
        outbox.make_room()
