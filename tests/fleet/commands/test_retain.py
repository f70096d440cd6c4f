"""`retain`: what is old goes, results stay."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable

import pytest

from contract.messages import encode_message
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.database import Database
from support.commands import run_command
from support.measurements import make_result, make_run

Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ask(store_url: str) -> Ask:
    """Run a command on this test's store."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_command(
            "fleet", *arguments, environment=os.environ | {"EDGEWRIGHT_DB": store_url}
        )

    return run


@pytest.fixture
def filled(database: Database) -> Database:
    """A store with an old run of a hundred samples, and an old refused message."""
    run = make_run(samples_ms=[float(number) for number in range(1, 101)])
    payloads = [encode_message(make_result(1, run)), b"not json"]
    Intake(database).take(
        [
            Delivery(
                topic="edgewright/v1/lab/box/result",
                payload=payload,
                retained=False,
                received_at=50.0,
            )
            for payload in payloads
        ],
        now=100.0,
    )
    return database


@pytest.mark.usefixtures("filled")
def test_it_says_what_it_would_do_then_does_it(ask: Ask) -> None:
    words = ("retain", "--samples-days", "90", "--quarantine-days", "30", "--json")
    would, did = (json.loads(ask(*words, *more).stdout) for more in (["--dry-run"], []))
    figures = {
        "rolled_up_runs": 1,
        "rolled_up_bytes": 800,
        "dropped_messages": 1,
        "dropped_bytes": 8,
    }
    for document, is_dry in ((would, True), (did, False)):
        assert {key: document[key] for key in figures} == figures
        assert document["dry_run"] is is_dry
    assert json.loads(ask("quarantine", "--json").stdout) == []
    (kept,) = json.loads(ask("results", "box", "--distribution", "--json").stdout)
    assert kept["samples_kept"] == "rolled-up"
    assert (kept["distribution"]["n"], kept["distribution"]["p95_ms"]) == (100, 95.05)


@pytest.mark.usefixtures("filled")
def test_it_speaks_to_people_too(ask: Ask) -> None:
    done = ask("retain", "--samples-days", "1", "--quarantine-most", "5", "--vacuum")
    assert done.returncode == 0, done.stderr
    assert "raw samples of 1 runs (0.0 MB) rolled up" in done.stdout
    assert "the store takes" in done.stdout
    assert "rolled-up" in ask("results", "box", "--distribution").stdout


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [([], "nothing to do"), (["--samples-days", "-1"], "--samples-days")],
)
def test_wrong_use_is_told(ask: Ask, arguments: list[str], problem: str) -> None:
    done = ask("retain", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr
