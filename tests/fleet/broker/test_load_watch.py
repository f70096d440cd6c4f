"""When the operator is told that the embedded broker is behind."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from click.testing import CliRunner

from fleet.broker.load_watch import Load, LoadWatch
from fleet.cli import cli
from fleet.store.broker_load import BrokerBehind, note_broker_behind
from fleet.store.database import open_database


def load(*, held: int = 0, late_s: float = 0.0) -> Load:
    return Load(
        clients=1000, waiting_messages=5, waiting_bytes=9, held_publishers=held, late_s=late_s
    )


def told(samples: list[Load]) -> list[str | None]:
    watch = LoadWatch()
    return [watch.takes(one, float(second)) for second, one in enumerate(samples)]


def test_a_moment_of_much_work_is_not_worth_a_word() -> None:
    assert set(told(([load(late_s=2.0)] * 9 + [load()]) * 5)) == {None}


def test_a_loop_that_is_late_for_long_is_told_of_with_what_to_do() -> None:
    (said,) = filter(None, told([load(late_s=2.0)] * 60))
    assert "edgewright-fleet broker-config" in said


def test_clients_that_are_held_up_for_long_are_told_of() -> None:
    (said,) = filter(None, told([load(held=3)] * 60))
    assert "more than the collector takes" in said


def test_what_goes_on_is_told_again_every_few_minutes() -> None:
    assert len(list(filter(None, told([load(held=3)] * 1000)))) == 4


def test_devices_tells_for_a_day_when_the_broker_was_behind(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'fleet.db'}"
    with contextlib.closing(open_database(url, create=True)) as database:
        for hours, is_told in ((1, True), (25, False)):
            behind = BrokerBehind(at=time.time() - hours * 3600, clients=1003, reason="too much")
            with database.writing() as connection:
                note_broker_behind(connection, behind)
            for words in ([], ["--json"]):
                done = CliRunner().invoke(cli, ["devices", "--db", url, *words])
                assert ("with 1003 clients: too much." in done.output) is is_told
                assert "behind" not in done.stdout or not words
