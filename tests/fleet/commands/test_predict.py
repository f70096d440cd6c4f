"""`predict`, as a person or a script runs it on a store that a collector has filled."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.benchmark import BenchRun
from contract.messages import Inventory, Result, encode_message
from contract.topics import Leaf, topic_for
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.predicting.fleet_model import FEWEST_TEACHERS
from fleet.store.database import Database
from support.commands import run_command
from support.simulated_records import simulated_runs
from support.stores import ON_BOTH

Ask = Callable[..., subprocess.CompletedProcess[str]]
VARIANTS = 6
FASTEST = 'name = "any"\nobjectives = ["min p95_ms"]\n'


@pytest.fixture
def ask(store_url: str) -> Ask:
    """Run `predict` on this test's store."""

    def run(*arguments: str, blocked: str = "") -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"EDGEWRIGHT_DB": store_url}
        if not blocked:
            return run_command("fleet", "predict", *arguments, environment=environment)
        code = (
            f"import sys; sys.modules.update(dict.fromkeys({blocked.split()!r})); "
            "from fleet.__main__ import main; main()"
        )
        return subprocess.run(
            [sys.executable, "-c", code, "predict", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environment,
        )

    return run


def store(database: Database, index: int, runs: int) -> str:
    """Let a simulated device tell what it is and so many of its runs; returns its name."""
    inventory, every = simulated_runs(index, VARIANTS)
    messages = [delivery(Leaf.INVENTORY, inventory, inventory)]
    for number, run in enumerate(every[:runs], start=1):
        messages.append(delivery(Leaf.RESULT, inventory, result(inventory, number, run)))
    assert Intake(database).take(messages, now=1.0).quarantined == 0
    return f"{inventory.site}/{inventory.device}"


def result(inventory: Inventory, number: int, run: BenchRun) -> Result:
    return Result(site=inventory.site, device=inventory.device, epoch="e-1", seq=number, run=run)


def delivery(leaf: Leaf, inventory: Inventory, message: Inventory | Result) -> Delivery:
    return Delivery(
        topic=topic_for(inventory.site, inventory.device, leaf),
        payload=encode_message(message),
        retained=False,
        received_at=1_700_000_000.0,
    )


@ON_BOTH
def test_a_device_with_few_runs_is_predicted_from_the_others_and_told_what_to_measure(
    database: Database, ask: Ask, tmp_path: Path
) -> None:
    policy = tmp_path / "any.toml"
    policy.write_text(FASTEST)
    for index in range(FEWEST_TEACHERS + 2):
        store(database, index, 100)
    name = store(database, 60, 2)
    done = ask("--json", name, "--policy", str(policy))
    assert done.returncode == 0, done.stderr
    (document,) = json.loads(done.stdout)
    assert f"{document['site']}/{document['device']}" == name
    assert document["measured"] == 2
    assert document["teachers"] == FEWEST_TEACHERS + 2
    assert len(document["predictions"]) == document["possible"] - 2 > 4
    for row in document["predictions"]:
        assert row["predicted"] is True
        assert row["p95_interval_ms"]["low"] < row["p95_ms"] < row["p95_interval_ms"]["high"]
    predicted = [row["ref"] for row in document["predictions"]]
    assert document["next"]
    assert all(ref in predicted for ref in document["next"])
    shown = ask(name, "--policy", str(policy)).stdout
    assert "measured 2 of" in shown
    assert "nothing is rolled out by predictions" in shown
    assert "Measure next:" in shown


def test_a_young_fleet_is_told_to_measure_everything(database: Database, ask: Ask) -> None:
    name = store(database, 0, 2)
    shown = ask()
    assert shown.returncode == 0, shown.stderr
    assert name in shown.stdout
    assert "everything" in shown.stdout
    assert "12 are needed to learn from. Measure everything." in ask(name).stdout


def test_without_the_library_the_command_says_what_to_install(database: Database, ask: Ask) -> None:
    store(database, 0, 2)
    done = ask(blocked="sklearn")
    assert done.returncode == 1
    assert done.stderr.strip().endswith("pip install 'edgewright[predict]'")
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_unknown_device_is_wrong_use(database: Database, ask: Ask) -> None:
    store(database, 0, 2)
    assert ask("nobody").returncode == 2
