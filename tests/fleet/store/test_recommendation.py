"""Decisions: made for many devices at once, stored by reference, told and replayed one by one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from contract.benchmark import BenchRun
from contract.messages import encode_message
from contract.topics import Leaf, topic_for
from fleet.choosing.decision import Ref, Status
from fleet.choosing.policy import load_policy, parse_policy
from fleet.collecting.intake import Intake
from fleet.errors import ReplayError, UnknownDecisionError
from fleet.mqtt.delivery import Delivery
from fleet.reports.report import report_explanation
from fleet.store.database import Database
from fleet.store.deciding import choose, choose_for_all
from fleet.store.groups import add_to_group
from fleet.store.recommendation import find_decision, recommend
from fleet.store.roster import device_ids, list_devices
from fleet.store.schema import choices, decisions
from support.measurements import make_result, make_run
from support.stores import ON_BOTH

pytestmark = ON_BOTH

POLICY = load_policy("most-accurate")
SLOW = make_run("slow", p50_ms=50.0, top1=0.99)
FAST = make_run("fast", p50_ms=5.0, top1=0.90)

Measure = Callable[..., None]


@pytest.fixture
def measure(database: Database) -> Measure:
    """Store runs of a device in its next places."""
    intake = Intake(database)
    seqs: dict[str, int] = {}

    def give(device: str, *runs: BenchRun) -> None:
        deliveries = []
        for run in runs:
            seqs[device] = seqs.get(device, 0) + 1
            deliveries.append(
                Delivery(
                    topic=topic_for("lab", device, Leaf.RESULT),
                    payload=encode_message(make_result(seqs[device], run, device=device)),
                    retained=False,
                    received_at=1.0,
                )
            )
        assert intake.take(deliveries, now=1.0).quarantined == 0

    return give


def everyone(database: Database) -> list[int]:
    with database.reading() as connection:
        return device_ids(connection)


def decision_count(database: Database) -> int:
    with database.reading() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(decisions)) or 0)


def test_a_device_is_decided_on_anew_only_when_something_changed(
    database: Database, measure: Measure
) -> None:
    measure("a", SLOW, FAST)
    measure("b", FAST)
    first = recommend(database, POLICY, everyone(database), now=10.0)
    assert [one.outcome.pick for one in first] == [Ref("slow", 1), Ref("fast", 1)]
    again = recommend(database, POLICY, everyone(database), now=20.0)
    assert again == first
    measure("b", SLOW)
    third = recommend(database, POLICY, everyone(database), now=30.0)
    assert third[0] == first[0]
    assert (third[1].outcome.pick, third[1].decided_at) == (Ref("slow", 1), 30.0)
    assert decision_count(database) == 3


def test_a_stored_decision_is_explained_the_same_for_ever(
    database: Database, measure: Measure
) -> None:
    measure("a", SLOW, FAST)
    (then,) = recommend(database, POLICY, everyone(database), now=10.0)
    told = report_explanation(then)
    measure("a", make_run("slow", p50_ms=500.0, top1=0.99, run_id="later"))
    (now,) = recommend(database, POLICY, everyone(database), now=20.0)
    assert now.outcome.pick == Ref("fast", 1)
    with database.reading() as connection:
        replayed = find_decision(connection, then.id)
    assert replayed == then
    assert report_explanation(replayed) == told


def test_the_present_choice_is_part_of_what_a_decision_rests_on(
    database: Database, measure: Measure
) -> None:
    measure("a", make_run("old", p50_ms=10.0))
    recommend(database, POLICY, everyone(database), now=10.0)
    measure("a", make_run("new", p50_ms=9.95))
    (kept,) = recommend(database, POLICY, everyone(database), now=20.0)
    assert (kept.outcome.pick, kept.outcome.challenger) == (Ref("old", 1), Ref("new", 1))
    with database.reading() as connection:
        assert find_decision(connection, kept.id) == kept


def test_terms_of_groups_and_of_the_policy_file_decide_anew(
    database: Database, measure: Measure
) -> None:
    measure("a", SLOW, FAST)
    text = 'name = "p"\nobjectives = ["max top1"]\n'
    plain = parse_policy(text, source="p")
    grouped = parse_policy(text + '[groups.weak]\nconstraints = ["p95_ms <= 20"]', source="p")
    (first,) = recommend(database, plain, everyone(database), now=1.0)
    (second,) = recommend(database, grouped, everyone(database), now=2.0)
    assert second == first
    with database.writing() as connection:
        add_to_group(connection, "weak", list_devices(connection))
    (third,) = recommend(database, grouped, everyone(database), now=3.0)
    assert (first.outcome.pick, third.outcome.pick) == (Ref("slow", 1), Ref("fast", 1))


def test_what_another_version_decided_is_decided_anew_and_not_taken_for_ours(
    database: Database, measure: Measure
) -> None:
    measure("a", SLOW, FAST)
    (mine,) = recommend(database, POLICY, everyone(database), now=1.0)
    with database.writing() as connection:
        for table in (decisions, choices):
            connection.execute(sa.update(table).values(status=Status.NO_DATA.value))
    with database.reading() as connection, pytest.raises(ReplayError, match="another version"):
        find_decision(connection, mine.id)
    (anew,) = recommend(database, POLICY, everyone(database), now=2.0)
    assert anew.outcome.pick == mine.outcome.pick
    assert anew.id != mine.id


def test_an_unknown_decision_says_where_numbers_are(database: Database) -> None:
    with database.reading() as connection, pytest.raises(UnknownDecisionError, match="decision_id"):
        find_decision(connection, 7)


def test_only_changed_devices_are_written_when_all_are_looked_at(
    database: Database, measure: Measure
) -> None:
    for name in ("a", "b", "c"):
        measure(name, SLOW, FAST)
    assert len(choose_for_all(database, POLICY, now=1.0)) == 3
    assert choose_for_all(database, POLICY, now=2.0) == []
    measure("b", make_run("slow", p50_ms=500.0, top1=0.99, run_id="later"))
    (changed,) = choose(database, POLICY, everyone(database), now=3.0)
    assert changed.question.standing.device == "b"
    assert changed.pick != changed.present
