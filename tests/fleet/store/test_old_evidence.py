"""Evidence grows old by the fleet's clock, and a decision is made anew only when that matters."""

from __future__ import annotations

import pytest

from contract.benchmark import BenchRun
from contract.messages import encode_message
from contract.topics import Leaf, topic_for
from fleet.choosing.decision import Status
from fleet.choosing.policy import Policy, parse_policy
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.reports.report import report_explanation
from fleet.reports.telling import explanation_lines
from fleet.store.database import Database
from fleet.store.recommendation import Recommendation, find_decision, recommend
from fleet.store.roster import devices_named
from fleet.store.whatif import what_if
from support.measurements import make_inventory, make_result, make_run
from support.stores import ON_BOTH

pytestmark = ON_BOTH

DAY_S = 86_400.0
PLAIN = 'name = "plain"\nobjectives = ["max top1"]\n'
AGED = PLAIN + "[evidence]\nmax_age_days = 90\n"


def policy(text: str) -> Policy:
    return parse_policy(text, source="test")


@pytest.fixture
def stored(database: Database) -> Database:
    """A store with a good run of the first day and a lesser one of the eleventh."""
    runs = [make_run("good", top1=0.99, processes=3), make_run("lesser", top1=0.9, n=30)]
    put(database, 0, 0.0, Leaf.INVENTORY)
    for seq, (day, run) in enumerate(zip((0, 10), runs, strict=True), start=1):
        put(database, seq, day * DAY_S, Leaf.RESULT, run)
    return database


def put(database: Database, seq: int, at: float, leaf: Leaf, run: BenchRun | None = None) -> None:
    message = make_inventory("box") if leaf is Leaf.INVENTORY else make_result(seq, run)
    delivery = Delivery(
        topic=topic_for("lab", "box", leaf),
        payload=encode_message(message),
        retained=False,
        received_at=at,
    )
    assert Intake(database).take([delivery], now=at).quarantined == 0


def recommended(database: Database, text: str, day: float) -> Recommendation:
    (found,) = recommend(database, policy(text), box(database), now=day * DAY_S)
    return found


def box(database: Database) -> list[int]:
    with database.reading() as connection:
        return [one.id for one in devices_named(connection, ["box"])]


def test_a_run_too_old_gives_way_to_a_newer_one_and_then_to_no_data(stored: Database) -> None:
    found = [recommended(stored, AGED, day) for day in (20, 89, 91, 95, 101)]
    picks = [one.outcome.pick.variant if one.outcome.pick else None for one in found]
    assert picks == ["good", "good", "lesser", "lesser", None]
    assert found[-1].outcome.status is Status.NO_DATA
    assert found[0] == found[1] != found[2] == found[3] != found[4]
    for one in found:
        with stored.reading() as connection:
            assert find_decision(connection, one.id) == one


def test_an_explanation_names_what_is_too_old(stored: Database) -> None:
    found = recommended(stored, AGED, 91)
    lines = explanation_lines(found.name, report_explanation(found))
    heading = lines.index("Too little evidence:")
    assert lines[heading + 1] == (
        "  good at 1 thread: received 1970-01-01; the policy takes none older than 90 days"
    )


def test_where_no_age_is_asked_time_alone_makes_no_new_decision(stored: Database) -> None:
    assert recommended(stored, PLAIN, 5000) == recommended(stored, PLAIN, 20)
    asked = PLAIN.replace("plain", "sampled") + "[evidence]\nmin_samples = 1\n"
    assert recommended(stored, asked, 5000) == recommended(stored, asked, 20)


def test_samples_and_processes_come_from_the_stored_runs(stored: Database) -> None:
    asked = PLAIN + "[evidence]\nmin_samples = 100\nmin_processes = 2\n"
    found = recommended(stored, asked, 20)
    assert [one.verdict.value for one in found.outcome.assessments] == ["chosen", "insufficient"]
    assert found.outcome.assessments[1].failure == (
        "30 samples; the policy asks for 100; the run does not say in how many processes; the "
        "policy asks for 2"
    )


def test_what_if_says_which_evidence_is_too_old(stored: Database) -> None:
    devices = box(stored)
    (fresh,) = what_if(stored, policy(AGED), devices, now=20 * DAY_S)
    (old,) = what_if(stored, policy(AGED), devices, now=200 * DAY_S)
    assert (str(fresh.then), fresh.changes) == ("good at 1 thread", True)
    assert (old.status, old.changes) == (Status.NO_DATA, False)
    assert old.reason == (
        "no usable run among 2: 2 with too little evidence (received 1970-01-01; the policy "
        "takes none older than 90 days: measure again (rebench_hours in agent.toml has the box "
        "do it))"
    )
