"""A store with rows in every table, and all that it tells through the fleet's own functions.

`PYTHONPATH=.:tests python -m support.filled_store` prints one of the newest schema as SQL. Each
schema leaves such a dump in `tests/fleet/store/` before the next one replaces it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from contract.messages import (
    Inventory,
    Message,
    Phase,
    Presence,
    State,
    Tombstone,
    Update,
    encode_message,
)
from contract.topics import Leaf, topic_for
from fleet.choosing.policy import load_policy
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.acks import acks_of
from fleet.store.database import Database, open_database
from fleet.store.decision import choices_of
from fleet.store.distribution import distributions_of
from fleet.store.evidence import runs_of
from fleet.store.groups import add_to_group, groups_of
from fleet.store.identity import identities_of
from fleet.store.quarantine import list_quarantine, payload_of
from fleet.store.recommendation import find_decision, recommend
from fleet.store.retention import roll_up_samples
from fleet.store.rollout import current_desired, plan_rollout, store_rollout
from fleet.store.roster import completeness_of_each, list_devices
from fleet.store.tokens import Role, create_token, list_tokens
from support.measurements import make_inventory, make_result, make_run

SITE = "lab"
START = 1_700_000_100.0
SAMPLES_MS = [10.0, 10.5, 11.0, 10.25]


def fill(database: Database) -> None:
    """Store what two devices say: one has had two outboxes, and most things happened to it."""
    intake = Intake(database)

    def take(*messages: Message | bytes, at: float, device: str = "box") -> None:
        intake.take([_delivery(one, device) for one in messages], now=at)

    take(
        _born("boot-a", 3),
        make_inventory("box", groups=["pi4"]),
        make_result(1, make_run("net-base", run_id="run-1", samples_ms=SAMPLES_MS)),
        make_result(2, make_run("net-p10", run_id="run-2", p50_ms=5.0, top1=0.97)),
        make_result(4, make_run("net-sq8", run_id="run-4", p50_ms=3.0, samples_ms=SAMPLES_MS)),
        Tombstone(site=SITE, device="box", epoch="e-1", seq=6, last_seq=7, reason="outbox full"),
        at=START,
    )
    for step in roll_up_samples(database, before=START + 1, now=START):
        assert step.count == 2
    body = msgspec.to_builtins(make_result(5))
    del body["run"]["variant"]
    take(msgspec.json.encode(body), b"not json \xff", b"not json \xff", at=START + 100)
    other_content = make_result(1, make_run("net-base", run_id="run-9"))
    take(_born("boot-b", 1), other_content, at=START + 200)
    take(
        make_result(1, make_run("net-base", run_id="run-1", samples_ms=SAMPLES_MS), epoch="e-2"),
        make_result(2, make_run("net-p20", run_id="run-5", samples_ms=SAMPLES_MS), epoch="e-2"),
        at=START + 300,
    )
    for number in range(2):
        for epoch, seq, later in (("e-2", 3 + number, 0), ("e-1", 8 + number, 100)):
            run = make_run("net-p30", run_id=f"{epoch}-{seq}", p50_ms=4.0)
            take(make_result(seq, run, epoch=epoch), at=START + 400 + 200 * number + later)
    take(make_result(1, device="other"), at=START + 800, device="other")
    with database.reading() as connection:
        (device, _) = list_devices(connection)
    (found,) = recommend(database, load_policy("most-accurate"), [device.id], now=START + 900)
    with database.writing() as connection:
        rollout = plan_rollout(connection, found, now=START + 900)
        store_rollout(connection, rollout, decision_id=found.id)
        add_to_group(connection, "lab-bench", [device])
        create_token(connection, "dashboard", Role.READ, days=None, now=START + 900)
    assert rollout.desired is not None
    take(
        Update(
            site=SITE,
            device="box",
            at=1.0,
            phase=Phase.ACTIVE,
            active_variant=rollout.desired.variant,
            active_sha256=rollout.desired.sha256,
            generation=1,
        ),
        at=START + 1000,
    )


def told(database: Database) -> dict[str, Any]:
    """All that a store tells, in builtin types."""
    now = START + 2000
    document: dict[str, Any] = {"store_id": database.store_id()}
    with database.reading() as connection:
        document["desired"] = current_desired(connection)
        quarantined = list_quarantine(connection, limit=100)
        document["quarantine"] = [(one, payload_of(connection, one.number)) for one in quarantined]
        known = list_devices(connection)
        numbers = [one.id for one in known]
        document["tokens"] = list_tokens(connection)
        document["acks"] = acks_of(connection, numbers, now)
        complete = completeness_of_each(connection, known)
        identities = identities_of(connection, numbers, now=now)
        choices = choices_of(connection, "most-accurate", numbers)
        for one in known:
            choice = choices.get(one.id)
            document[one.name] = {
                "device": one,
                "completeness": complete[one.id],
                "identity": identities[one.id],
                "groups": groups_of(connection, one),
                "runs": runs_of(connection, one),
                "distributions": [
                    (*place, known)
                    for place, known in sorted(distributions_of(connection, one.id).items())
                ],
                "decision": choice and find_decision(connection, choice.decision_id),
            }
    return dict(msgspec.to_builtins(document))


def rows_of_each(database: Database) -> dict[str, int]:
    """How many rows each table has."""
    with database.reading() as connection:
        names = sa.inspect(connection).get_table_names()
        return {
            name: int(
                connection.scalar(sa.select(sa.func.count()).select_from(sa.table(name))) or 0
            )
            for name in names
        }


def _born(boot: str, connection: int) -> State:
    return State(
        site=SITE,
        device="box",
        presence=Presence.ONLINE,
        boot_id=boot,
        connection=connection,
        at=10.0,
    )


def _delivery(message: Message | bytes, device: str) -> Delivery:
    match message:
        case State():
            leaf = Leaf.STATE
        case Inventory():
            leaf = Leaf.INVENTORY
        case Update():
            leaf = Leaf.UPDATE
        case _:
            leaf = Leaf.RESULT
    payload = message if isinstance(message, bytes) else encode_message(message)
    return Delivery(
        topic=topic_for(SITE, device, leaf), payload=payload, retained=False, received_at=START
    )


def _dump() -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fleet.db"
        with contextlib.closing(open_database(f"sqlite:///{path}", create=True)) as database:
            fill(database)
        with contextlib.closing(sqlite3.connect(path)) as connection:
            return "\n".join(connection.iterdump()) + "\n"


if __name__ == "__main__":
    sys.stdout.write(_dump())
