"""What was measured already."""

from __future__ import annotations

from pathlib import Path

from agent.journal import Journal
from agent.observation import Observation, Taken
from agent.protocol import Measured
from agent.supervisor import Outcome
from agent.sweeplog import SweepLog
from contract.benchmark import BenchRun, Conditions, RunStatus
from support.measurements import make_run


def open_log(folder: Path) -> tuple[Journal, SweepLog]:
    """A record on the disk."""
    journal = Journal(folder / "agent.sqlite", limit_bytes=64_000_000)
    return journal, SweepLog(journal)


def record(journal: Journal, sweeplog: SweepLog, run: BenchRun) -> None:
    """Record one run."""
    with journal.transaction() as connection:
        sweeplog.record(connection, run)


def taken(number: int) -> Taken:
    """A turn that went well."""
    observation = Observation(
        threads=1,
        started_at=1000.0,
        duration_s=2.0,
        before=Conditions(),
        after=Conditions(temperature_c=50.0),
        outcome=Outcome(
            status=RunStatus.OK,
            reason=None,
            events=[
                Measured(
                    samples_ms=[1.5, 2.5],
                    preprocess_ms=0.1,
                    postprocess_ms=0.1,
                    steady_rss_bytes=1,
                    peak_rss_bytes=None,
                    foreign_load=None,
                )
            ],
            duration_s=2.0,
            seen_rss_bytes=1,
            limit_kind=None,
        ),
        notes=["odd"],
    )
    return Taken(key=("net-p10", 2), number=number, observation=observation)


def test_a_sweep_is_found_again_as_far_as_it_got(tmp_path: Path) -> None:
    """After a kill, only the turns that are missing are taken."""
    journal, sweeplog = open_log(tmp_path)
    begun = sweeplog.begin(set_id="set", fingerprint="fp")
    record(journal, sweeplog, make_run(sweep_id=begun.sweep_id))
    turns = (taken(1), taken(2))
    for turn in turns:
        sweeplog.note(begun.sweep_id, turn)
    journal.close()
    _, sweeplog = open_log(tmp_path)
    found = sweeplog.latest()
    assert found is not None
    assert (found.sweep_id, found.set_id, found.fingerprint) == (begun.sweep_id, "set", "fp")
    assert found.done == {("net-base", 1)}
    assert found.taken == turns
    assert found.finished_at is None


def test_turns_are_forgotten_with_the_end_of_their_sweep(tmp_path: Path) -> None:
    """Also where another sweep begins before that end: their samples are large."""
    journal, sweeplog = open_log(tmp_path)
    first = sweeplog.begin(set_id="set", fingerprint="fp")
    sweeplog.note(first.sweep_id, taken(1))
    second = sweeplog.begin(set_id="other", fingerprint="fp")
    sweeplog.note(second.sweep_id, taken(1))
    sweeplog.finish(second.sweep_id, at=1.0)
    with journal.reading() as connection:
        assert connection.execute("SELECT count(*) FROM turns").fetchone() == (0,)


def test_the_verdict_is_that_of_the_last_sweep_in_this_environment(tmp_path: Path) -> None:
    """A bundle that ran well once and now fails is not well; well at any threads is."""
    journal, sweeplog = open_log(tmp_path)
    first = sweeplog.begin(set_id="set", fingerprint="fp")
    record(journal, sweeplog, make_run(sweep_id=first.sweep_id, sha256="aa"))
    verdict = sweeplog.verdict("aa", fingerprint="fp")
    assert verdict is not None
    assert verdict.status is RunStatus.OK
    assert sweeplog.verdict("aa", fingerprint="other") is None
    second = sweeplog.begin(set_id="set", fingerprint="fp")
    failed = make_run(
        sweep_id=second.sweep_id, sha256="aa", threads=4, status=RunStatus.OOM, reason="too big"
    )
    record(journal, sweeplog, failed)
    verdict = sweeplog.verdict("aa", fingerprint="fp")
    assert verdict is not None
    assert (verdict.status, verdict.reason) == (RunStatus.OOM, "too big")
    record(journal, sweeplog, make_run(sweep_id=second.sweep_id, sha256="aa", threads=1))
    verdict = sweeplog.verdict("aa", fingerprint="fp")
    assert verdict is not None
    assert verdict.status is RunStatus.OK


def test_old_sweeps_are_forgotten(tmp_path: Path) -> None:
    """The record stays small on a box that runs for years."""
    journal, sweeplog = open_log(tmp_path)
    for number in range(12):
        state = sweeplog.begin(set_id=f"set-{number}", fingerprint="fp")
        record(journal, sweeplog, make_run(sweep_id=state.sweep_id))
    with journal.reading() as connection:
        assert connection.execute("SELECT count(*) FROM sweeps").fetchone() == (8,)
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (8,)
    latest = sweeplog.latest()
    assert latest is not None
    assert latest.set_id == "set-11"


def test_the_preparation_is_that_of_the_thread_count_asked_for(tmp_path: Path) -> None:
    """What is fastest on one core need not be so on four."""
    journal, sweeplog = open_log(tmp_path)
    sweep = sweeplog.begin(set_id="set", fingerprint="fp")
    for threads, preparation in ((1, "frozen"), (4, "optimized")):
        run = make_run(
            sweep_id=sweep.sweep_id, sha256="aa", threads=threads, preparation=preparation
        )
        record(journal, sweeplog, run)
    found = [sweeplog.verdict("aa", fingerprint="fp", threads=n) for n in (1, 4, 2)]
    assert [one and one.preparation for one in found] == ["frozen", "optimized", "frozen"]
