"""What the device says of itself follows from what its server reports."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from agent.activation import Activation, Pick
from agent.bundles import Shelf, open_shelf
from agent.follower import Follower
from agent.journal import Journal
from agent.serving.report import ServingReport
from agent.sweeplog import SweepLog
from contract.messages import Desired, Phase, Update
from support.measurements import make_run

FINGERPRINT = "fp"


@dataclass
class Stand:
    """A follower with its files, on a device that measured its set."""

    shelf: Shelf
    folder: Path
    said: list[Update] = field(default_factory=list)

    def follower(self, *, served_within_s: float = 60.0, serves: bool = True) -> Follower:
        """A follower, as after a start."""
        journal = Journal(self.folder / "agent.sqlite", limit_bytes=64_000_000)
        sweeplog = SweepLog(journal)
        sweep = sweeplog.begin(set_id="set", fingerprint=FINGERPRINT)
        with journal.transaction() as connection:
            for bundle in self.shelf.bundles:
                run = make_run(
                    bundle.member.variant, sweep_id=sweep.sweep_id, sha256=bundle.member.sha256
                )
                sweeplog.record(connection, run)
        follower = Follower(
            Activation(self.folder / "active.json"),
            sweeplog,
            site="lab",
            device="box",
            say=self.said.append,
            served_within_s=served_within_s,
        )
        if serves:
            follower.expect_server()
        follower.report()
        return follower

    def pick(self, variant: str) -> Pick:
        """The variant of the set, on one thread."""
        bundle = self.shelf.bundle(variant)
        assert bundle is not None
        return Pick(variant=variant, sha256=bundle.member.sha256, threads=1)

    def desired(self, variant: str, generation: int) -> Desired:
        """A wish for a variant of the set."""
        return Desired(
            site="lab",
            device="box",
            at=0.0,
            generation=generation,
            variant=variant,
            sha256=self.pick(variant).sha256,
            threads=1,
            policy="test",
        )

    def follow(self, follower: Follower, news: Desired | ServingReport | None = None) -> None:
        """Let it hear something and act on it."""
        if isinstance(news, Desired):
            follower.hear(news)
        elif news is not None:
            follower.hear_server(news)
        follower.follow(self.shelf, fingerprint=FINGERPRINT)

    @property
    def last(self) -> tuple[Phase, str | None, int]:
        """What was said last."""
        update = self.said[-1]
        return update.phase, update.active_variant, update.generation


@pytest.fixture
def stand(good_set: Path, tmp_path: Path) -> Stand:
    """A device that measured `good_set`."""
    return Stand(open_shelf(good_set), tmp_path)


def test_nothing_is_called_active_before_it_is_served(stand: Stand) -> None:
    follower = stand.follower()
    stand.follow(follower, stand.desired("tiny-sq8", 1))
    assert stand.said == []
    stand.follow(follower, ServingReport(generation=1, served=stand.pick("tiny-base")))
    assert stand.said == []
    stand.follow(follower, ServingReport(generation=1, served=stand.pick("tiny-sq8")))
    assert stand.last == (Phase.ACTIVE, "tiny-sq8", 1)
    stand.follow(follower)
    assert len(stand.said) == 1


def test_a_report_on_an_older_wish_settles_no_newer_one(stand: Stand) -> None:
    """The server may not have read yet what was decided here."""
    follower = stand.follower()
    stand.follow(follower, stand.desired("tiny-sq8", 1))
    failed = ServingReport(generation=1, served=stand.pick("tiny-base"), problem="broken")
    stand.follow(follower, failed)
    assert stand.last == (Phase.FAILED, "tiny-base", 1)
    stand.follow(follower, stand.desired("tiny-sq8", 2))
    assert stand.last == (Phase.FAILED, "tiny-base", 1)
    stand.follow(follower, ServingReport(generation=2, served=stand.pick("tiny-sq8")))
    assert stand.last == (Phase.ACTIVE, "tiny-sq8", 2)


def test_a_wish_of_which_the_server_says_nothing_ends_at_its_deadline(stand: Stand) -> None:
    """And is met later all the same."""
    follower = stand.follower(served_within_s=0.0)
    stand.follow(follower, stand.desired("tiny-sq8", 1))
    assert stand.last == (Phase.FAILED, None, 1)
    assert stand.said[-1].reason == "it is not served after 0 s"
    stand.follow(follower, ServingReport(generation=1, served=stand.pick("tiny-sq8")))
    assert stand.last == (Phase.ACTIVE, "tiny-sq8", 1)


def test_a_newer_wish_replaces_one_that_is_stuck(stand: Stand) -> None:
    follower = stand.follower()
    stand.follow(follower, stand.desired("tiny-sq8", 1))
    stand.follow(follower, stand.desired("tiny-dq8", 2))
    stand.follow(follower, ServingReport(generation=2, served=stand.pick("tiny-dq8")))
    assert stand.last == (Phase.ACTIVE, "tiny-dq8", 2)
    assert len(stand.said) == 1


def test_a_wish_that_was_refused_is_said_beside_what_is_served(stand: Stand) -> None:
    follower = stand.follower()
    stand.follow(follower, stand.desired("tiny-sq8", 1))
    report = ServingReport(generation=1, served=stand.pick("tiny-sq8"))
    stand.follow(follower, report)
    wish = stand.desired("tiny-dq8", 2)
    stand.follow(follower, msgspec.structs.replace(wish, sha256="f" * 64))
    assert stand.last == (Phase.FAILED, "tiny-sq8", 2)
    assert "copy the bundle set again" in (stand.said[-1].reason or "")


def test_a_wish_under_way_goes_on_after_a_restart_and_other_bundles(stand: Stand) -> None:
    """It was kept before anything was done, and what was settled before does not undo it."""
    first = stand.follower()
    stand.follow(first, stand.desired("tiny-sq8", 1))
    stand.follow(first, ServingReport(generation=1, served=stand.pick("tiny-sq8")))
    stand.follow(first, stand.desired("tiny-dq8", 2))
    second = stand.follower()
    second.reconsider()
    stand.follow(second)
    assert stand.last == (Phase.ACTIVE, "tiny-sq8", 1)
    stand.follow(second, ServingReport(generation=2, served=stand.pick("tiny-dq8")))
    assert stand.last == (Phase.ACTIVE, "tiny-dq8", 2)


def test_without_a_server_what_waited_for_one_is_adopted(stand: Stand) -> None:
    """The configuration says that nothing serves here any more."""
    stand.follow(stand.follower(), stand.desired("tiny-sq8", 1))
    stand.follow(stand.follower(serves=False))
    assert stand.last == (Phase.ACTIVE, "tiny-sq8", 1)


def test_a_server_without_a_wish_is_idle_with_what_it_serves(stand: Stand) -> None:
    """And with what keeps it from serving."""
    follower = stand.follower()
    stand.follow(follower, ServingReport(problem="cannot listen"))
    assert stand.last == (Phase.IDLE, None, 0)
    assert stand.said[-1].reason == "cannot listen"
    stand.follow(follower, ServingReport(generation=0, served=stand.pick("tiny-base")))
    assert stand.last == (Phase.IDLE, "tiny-base", 0)
    assert stand.said[-1].reason is None


def test_a_server_that_died_once_changes_nothing_that_was_said(stand: Stand) -> None:
    """It is started again; only if that takes too long, nothing is active any more."""
    follower = stand.follower()
    stand.follow(follower, stand.desired("tiny-sq8", 1))
    stand.follow(follower, ServingReport(generation=1, served=stand.pick("tiny-sq8")))
    stand.follow(follower, ServingReport())
    assert stand.last == (Phase.ACTIVE, "tiny-sq8", 1)
    stand.follow(follower, ServingReport(problem="the server does not stay alive: exit code 1"))
    assert stand.last == (Phase.FAILED, None, 1)
