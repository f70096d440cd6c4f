"""Refused messages: listed, shown, and given to the intake once more."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable

import msgspec
import pytest
import sqlalchemy as sa

from contract.messages import MAX_MESSAGE_BYTES, encode_message
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.database import Database
from fleet.store.schema import quarantine, results
from support.commands import run_command
from support.measurements import make_result, make_run
from support.stores import ON_BOTH

pytestmark = ON_BOTH

Ask = Callable[..., subprocess.CompletedProcess[str]]
TOPIC = "edgewright/v1/lab/box/result"


@pytest.fixture
def ask(store_url: str) -> Ask:
    """Run `quarantine` on this test's store."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_command(
            "fleet", "quarantine", *arguments, environment=os.environ | {"EDGEWRIGHT_DB": store_url}
        )

    return run


def take(database: Database, *payloads: bytes) -> None:
    Intake(database).take(
        [
            Delivery(topic=TOPIC, payload=payload, retained=False, received_at=50.0)
            for payload in payloads
        ],
        now=100.0,
    )


def put_away(database: Database, payload: bytes) -> None:
    """Put a message into quarantine that this release accepts: an earlier one did not."""
    take(database, b"refused by an earlier release")
    with database.writing() as connection:
        connection.execute(
            sa.update(quarantine).values(payload=payload, payload_bytes=len(payload))
        )


def stored(database: Database) -> list[int]:
    with database.reading() as connection:
        return list(connection.scalars(sa.select(results.c.seq).order_by(results.c.seq)))


def numbers(ask: Ask) -> list[int]:
    return [one["number"] for one in json.loads(ask("--json").stdout)]


def test_a_message_is_shown_in_full_and_as_it_came(database: Database, ask: Ask) -> None:
    take(database, b'{"a": "' + b"long " * 100 + b'"}')
    (number,) = numbers(ask)
    assert "long " * 100 in ask("show", str(number)).stdout
    assert ask("show", str(number), "--raw").stdout == '{"a": "' + "long " * 100 + '"}'
    document = json.loads(ask("show", str(number), "--json").stdout)
    assert document["message"]["number"] == number
    assert "missing required field" in document["message"]["reason"]


def test_what_is_accepted_now_is_stored_and_leaves(database: Database, ask: Ask) -> None:
    put_away(database, encode_message(make_result(7)))
    done = ask("replay", "--all")
    assert (done.returncode, "stored" in done.stdout) == (0, True)
    assert stored(database) == [7]
    assert numbers(ask) == []


def test_what_is_refused_again_stays_with_its_reason(database: Database, ask: Ask) -> None:
    take(database, b"not json")
    (number,) = numbers(ask)
    done = ask("replay", str(number))
    assert (done.returncode, "stays: " in done.stdout) == (1, True)
    assert numbers(ask) == [number]


def test_other_content_for_a_stored_place_stays(database: Database, ask: Ask) -> None:
    take(database, encode_message(make_result(1)))
    take(database, encode_message(make_result(1, make_run("net-p10"))))
    done = ask("replay", "--all", "--json")
    (one,) = json.loads(done.stdout)
    assert (done.returncode, "other content" in one["problem"]) == (1, True)
    assert stored(database) == [1]


def test_a_message_that_was_not_kept_in_full_cannot_come_again(
    database: Database, ask: Ask
) -> None:
    body = msgspec.to_builtins(make_result(1))
    body["run"]["notes"] = ["x" * MAX_MESSAGE_BYTES]
    take(database, msgspec.json.encode(body))
    done = ask("replay", "--all")
    assert (done.returncode, "bytes were kept" in done.stdout) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["show", "99"], "no message 99"),
        (["replay", "99"], "no message 99"),
        (["replay"], "expected NUMBERs"),
        (["replay", "1", "--all"], "expected NUMBERs"),
    ],
)
@pytest.mark.usefixtures("database")
def test_wrong_use_is_one_line(ask: Ask, arguments: list[str], problem: str) -> None:
    done = ask(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.usefixtures("database")
def test_the_store_may_be_named_before_or_behind_the_subcommand(ask: Ask, store_url: str) -> None:
    for words in (("--db", store_url, "replay", "--all"), ("replay", "--all", "--db", store_url)):
        assert ask(*words).returncode == 0
    assert ask("--db", "sqlite:////none/fleet.db", "replay", "--all").returncode == 1
