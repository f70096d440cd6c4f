"""`policies`: the ready ones, and one's own checked before it is used."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from contract.messages import encode_message
from contract.topics import Leaf, topic_for
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.database import Database
from support.commands import run_command
from support.measurements import make_inventory

Ask = Callable[..., subprocess.CompletedProcess[str]]

HOUSE = """\
name = "house"
constraints = ["p95_ms <= 150"]
objectives = ["max top1"]
[evidence]
min_samples = 100
[sites.lba]
constraints = ["p95_ms <= 100"]
[groups.pi4]
constraints = ["peak_rss_mb <= 400"]
[groups.pi4.evidence]
min_samples = 50
[devices."lab/box"]
objectives = ["min p95_ms"]
"""


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Run `policies` where the default store is in an empty folder."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if name != "EDGEWRIGHT_DB"}
        return run_command(
            "fleet",
            "policies",
            *arguments,
            environment=environment | {"XDG_DATA_HOME": str(tmp_path / "data")},
            folder=tmp_path,
        )

    (tmp_path / "house.toml").write_text(HOUSE)
    return run


def test_a_policy_in_order_prints_the_terms_of_each_part(ask: Ask) -> None:
    done = ask("check", "house.toml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "house.toml: policy 'house' is in order",
        "everywhere:",
        "  limits: p95_ms <= 150",
        "  objectives: max top1",
        "  evidence: min_samples = 100",
        "site lba:",
        "  limits: p95_ms <= 100",
        "  objectives: max top1",
        "  evidence: min_samples = 100",
        "group pi4:",
        "  limits: p95_ms <= 150, peak_rss_mb <= 400",
        "  objectives: max top1",
        "  evidence: min_samples = 50",
        "device lab/box:",
        "  limits: p95_ms <= 150",
        "  objectives: min p95_ms",
        "  evidence: min_samples = 100",
    ]


def test_all_mistakes_are_lines_with_their_places_and_exit_1(ask: Ask, tmp_path: Path) -> None:
    wrong = HOUSE.replace("p95_ms <= 150", "p59_ms <= 150").replace("groups.pi4", "group.pi4")
    (tmp_path / "house.toml").write_text(wrong)
    done = ask("check", "house.toml")
    assert (done.returncode, done.stderr) == (1, "")
    assert [line.split(": ")[0] for line in done.stdout.splitlines()] == [
        "house.toml:2:17",
        "house.toml:8:2",
    ]
    document = json.loads(ask("check", "house.toml", "--json").stdout)
    assert document["policy"] is None
    assert [(one["line"], one["column"], one["where"]) for one in document["mistakes"]] == [
        (2, 17, "constraints[0]"),
        (8, 2, "group"),
    ]


def test_names_that_no_device_in_the_store_goes_by_are_warned_of(
    ask: Ask, database: Database, store_url: str
) -> None:
    delivery = Delivery(
        topic=topic_for("lab", "box", Leaf.INVENTORY),
        payload=encode_message(make_inventory("box", groups=["pi5"])),
        retained=False,
        received_at=1.0,
    )
    Intake(database).take([delivery], now=1.0)
    done = ask("check", "house.toml", "--db", store_url)
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("warning")] == [
        (
            "warning: house.toml:6:8: sites.lba: no device in the store is at site 'lba'; did you "
            "mean lab?"
        ),
        (
            "warning: house.toml:8:9: groups.pi4: no device in the store is in group 'pi4'; did "
            "you mean pi5?"
        ),
    ]
    document = json.loads(ask("check", "house.toml", "--db", store_url, "--json").stdout)
    assert [one["where"] for one in document["warnings"]] == ["sites.lba", "groups.pi4"]
    assert document["terms"][0] == {
        "who": "everywhere",
        "constraints": ["p95_ms <= 150"],
        "objectives": ["max top1"],
        "evidence": ["min_samples = 100"],
    }


def test_a_store_that_was_asked_for_must_be_there(ask: Ask, tmp_path: Path) -> None:
    done = ask("check", "house.toml", "--db", f"sqlite:///{tmp_path / 'none.db'}")
    assert (done.returncode, done.stdout) == (1, "")
    assert "edgewright-fleet serve" in done.stderr


def test_a_missing_file_is_wrong_use(ask: Ask) -> None:
    done = ask("check", "none.toml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such file" in done.stderr


def test_ready_policies_are_listed_printed_and_checked_by_name(ask: Ask) -> None:
    assert "most-accurate" in ask().stdout.split()
    assert 'name = "least-energy"' in ask("least-energy").stdout
    assert "policy 'fastest' is in order" in ask("check", "fastest").stdout
    unknown = ask("fastets")
    assert (unknown.returncode, unknown.stdout) == (2, "")
    assert "did you mean 'fastest'?" in unknown.stderr
