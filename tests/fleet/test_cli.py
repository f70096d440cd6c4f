"""The commands, as a person or a script runs them."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from contract.benchmark import RunStatus
from contract.group import group_fault
from contract.messages import Desired, Phase, Update, decode_message, encode_message
from contract.topics import Leaf, topic_for
from fleet.cli import cli
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.store.database import Database
from support.brokers import Mosquitto
from support.commands import run_command
from support.devices import DeviceClient, eventually
from support.filling import fill as store_runs
from support.measurements import make_result, make_run
from support.stores import ON_BOTH

Fill = Callable[..., None]


@pytest.fixture
def fill(database: Database) -> Fill:
    """Store an inventory and runs of one device, as the collector does."""
    return functools.partial(store_runs, database)


@pytest.fixture
def ask(store_url: str) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command on this test's store."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return run_command(
            "fleet", *arguments, environment=os.environ | {"EDGEWRIGHT_DB": store_url}
        )

    return run


Ask = Callable[..., subprocess.CompletedProcess[str]]

FAST = make_run("net-sq8", p50_ms=3, top1=0.95, top1_drop=0.03, scheme="static-int8", speedup=3.3)
GOOD = make_run("net-base", p50_ms=10, top1=0.98)


def documents(done: subprocess.CompletedProcess[str]) -> Any:  # noqa: ANN401 - JSON
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_recommendations_are_one_json_document_with_every_promised_field(
    fill: Fill, ask: Ask
) -> None:
    fill("box", GOOD, FAST)
    (row,) = documents(ask("recommendations", "--json"))
    assert (row["site"], row["device"], row["policy"]) == ("lab", "box", "most-accurate")
    assert (row["status"], row["variant"], row["threads"]) == ("chosen", "net-base", 1)
    assert (row["p95_ms"], row["peak_rss_bytes"]) == (11.0, 300_000_000)
    assert (row["top1"], row["speedup"], row["violated"]) == (0.98, 1.0, [])
    assert row["reason"]
    assert row["decided_at"] > 0


def test_a_policy_that_nothing_meets_names_the_nearest_miss_and_exits_0(
    fill: Fill, ask: Ask, tmp_path: Path
) -> None:
    fill("box", GOOD, FAST)
    policy = tmp_path / "strict.toml"
    policy.write_text('name = "strict"\nconstraints = ["p95_ms <= 2"]\nobjectives = ["max top1"]\n')
    (row,) = documents(ask("recommendations", "--policy", str(policy), "--json"))
    assert (row["status"], row["variant"]) == ("nearest-miss", "net-sq8")
    (violation,) = row["violated"]
    assert violation["constraint"] == "p95_ms <= 2"
    assert violation["value"] == pytest.approx(3.3)
    shown = ask("recommendations", "--policy", str(policy)).stdout
    assert "nearest-miss" in shown
    assert "misses p95_ms <= 2 by 1.3 ms" in shown


def test_a_device_without_usable_runs_has_no_data(fill: Fill, ask: Ask) -> None:
    fill("box")
    fill("small", make_run("net-base", status=RunStatus.OOM, reason="killed at 200 MB"))
    rows = documents(ask("recommendations", "--json"))
    assert [(row["device"], row["status"], row["variant"]) for row in rows] == [
        ("box", "no-data", None),
        ("small", "no-data", None),
    ]
    assert "1 oom" in rows[1]["reason"]


def test_equal_picks_on_several_devices_are_said(fill: Fill, ask: Ask) -> None:
    fill("one", GOOD)
    fill("two", GOOD)
    assert "All 2 devices get the same variant: net-base." in ask("recommendations").stdout
    fill("three", FAST)
    assert "2 of 3 devices get the same variant: net-base." in ask("recommendations").stdout


def test_each_device_getting_another_variant_is_said(fill: Fill, ask: Ask) -> None:
    fill("one", GOOD)
    fill("two", FAST)
    assert "Each of the 2 devices gets another variant." in ask("recommendations").stdout


def test_limits_of_a_group_hold_for_the_devices_in_it(fill: Fill, ask: Ask, tmp_path: Path) -> None:
    policy = tmp_path / "p.toml"
    policy.write_text(
        'name = "p"\nobjectives = ["max top1"]\n[groups.small]\nconstraints = ["p95_ms <= 5"]\n'
    )
    fill("big", GOOD, FAST)
    fill("small", GOOD, FAST, groups=["small"])
    rows = documents(ask("recommendations", "--policy", str(policy), "--json"))
    assert [row["variant"] for row in rows] == ["net-base", "net-sq8"]


@ON_BOTH
def test_a_group_by_the_operator_counts_like_one_by_the_device(
    fill: Fill, ask: Ask, tmp_path: Path
) -> None:
    fill("a", GOOD, FAST)
    fill("b", GOOD, FAST, groups=["slow"])
    policy = tmp_path / "groups.toml"
    policy.write_text(
        'name = "groups"\nobjectives = ["max top1"]\n[groups.slow]\nconstraints = ["p95_ms <= 5"]\n'
    )

    def picks() -> list[str]:
        found = json.loads(ask("recommendations", "--policy", str(policy), "--json").stdout)
        return [one["variant"] for one in found]

    assert picks() == ["net-base", "net-sq8"]
    assert ask("group", "add", "slow", "a", "lab/b").returncode == 0
    assert picks() == ["net-sq8", "net-sq8"]
    assert json.loads(ask("group", "list", "--json").stdout) == [
        {"group": "slow", "devices": ["lab/a", "lab/b"]}
    ]
    assert [one["groups"] for one in documents(ask("devices", "--json"))] == [["slow"], ["slow"]]
    done = ask("group", "remove", "slow", "a", "b")
    assert (done.returncode, "lab/b stays" in done.stderr) == (1, True)
    assert picks() == ["net-base", "net-sq8"]
    assert ask("group", "list").stdout == "slow: lab/b\n"
    done = ask("group", "remove", "slow", "a")
    assert (done.returncode, done.stdout) == (1, "")
    assert "lab/a was not in the group slow" in done.stderr


def test_a_group_needs_a_valid_name_and_known_devices(fill: Fill, ask: Ask) -> None:
    fill("a", GOOD)
    for words, problem in ((("slow/ones", "a"), "'slow/ones'"), (("slow", "z"), "'z'")):
        done = ask("group", "add", *words)
        assert (done.returncode, problem in done.stderr) == (2, True)
        assert len(done.stderr.splitlines()) == 1


def test_runs_of_another_environment_or_bundle_set_do_not_count(fill: Fill, ask: Ask) -> None:
    other_torch = make_run("net-base", p50_ms=1, fingerprint="fp-0")
    other_set = make_run("net-old", p50_ms=1, set_id="old")
    fill("box", other_torch, other_set, FAST)
    (row,) = documents(ask("recommendations", "--json"))
    assert row["variant"] == "net-sq8"
    current = [run["current"] for run in documents(ask("results", "box", "--json"))]
    assert current == [False, False, True]


def test_the_latest_run_of_a_variant_counts_whatever_the_clocks_say(fill: Fill, ask: Ask) -> None:
    early = make_run("net-base", p50_ms=10, started_at=2_000_000_000.0)
    late = make_run("net-base", p50_ms=20, started_at=5.0)
    fill("box", early, late)
    (row,) = documents(ask("recommendations", "--json"))
    assert row["p50_ms"] == 20


def test_explain_tells_a_decision_from_what_was_stored_with_it(fill: Fill, ask: Ask) -> None:
    dynamic = make_run("net-dq8", p50_ms=9.8, top1=0.97, scheme="dynamic-int8")
    fill("box", GOOD, dynamic, make_run("net-big", status=RunStatus.OOM, reason="killed"))
    shown = ask("explain", "box").stdout
    for said in (
        "chosen net-base at 1 thread",
        "Runner-up:",
        "no limit binds",
        "dynamic INT8: 1.02x on this box",
        "net-big at 1 thread: oom: killed",
    ):
        assert said in shown
    document = documents(ask("explain", "lab/box", "--json"))
    assert [one["verdict"] for one in document["candidates"]] == ["chosen", "failed", "feasible"]


def test_accuracy_measured_on_the_device_stands_beside_the_builders(fill: Fill, ask: Ask) -> None:
    """It is told, and the choice goes by the builder's, which is of more images."""
    drifted = msgspec.structs.replace(
        GOOD, device_top1=0.625, device_top3=0.75, device_images=200, device_gained=0,
        device_lost=71,
    )  # fmt: skip
    fill("box", drifted, FAST)
    document = documents(ask("explain", "box", "--json"))
    base, fast = sorted(document["candidates"], key=lambda one: one["variant"])
    assert base["verdict"] == "chosen"
    assert [base[f"device_{key}"] for key in ("top1", "top3", "images")] == [0.625, 0.75, 200]
    assert (fast["device_top1"], fast["top1"]) == (None, 0.95)
    assert "62.50 %" in ask("explain", "box").stdout
    assert "62.50 %" in ask("results", "box").stdout
    (one, _) = documents(ask("results", "box", "--json"))
    assert (one["device_images"], one["device_gained"], one["device_lost"]) == (200, 0, 71)


@ON_BOTH
def test_an_unchanged_device_keeps_its_decision(fill: Fill, ask: Ask) -> None:
    fill("box", GOOD)
    first = documents(ask("recommendations", "--json"))
    assert documents(ask("recommendations", "--json")) == first


def test_results_carry_the_fields_of_the_bench_document(fill: Fill, ask: Ask) -> None:
    fill("box", GOOD)
    (run,) = documents(ask("results", "box", "--json"))
    assert (run["variant"], run["status"], run["seq"]) == ("net-base", "ok", 1)
    assert run["golden"]["ok"] is True
    assert "samples_ms" not in run
    assert "net-base" in ask("results", "box").stdout


@ON_BOTH
def test_devices_tell_presence_completeness_and_variants(
    fill: Fill, ask: Ask, database: Database
) -> None:
    fill("box", GOOD)
    update = Update(
        site="lab", device="box", at=1, phase=Phase.ACTIVE, active_variant="net-base", generation=1
    )
    gap = [
        (Leaf.UPDATE, encode_message(update)),
        (Leaf.RESULT, encode_message(make_result(5))),
        (Leaf.RESULT, b"{"),
    ]
    deliveries = [
        Delivery(topic=topic_for("lab", "box", leaf), payload=body, retained=False, received_at=2.0)
        for leaf, body in gap
    ]
    Intake(database).take(deliveries, now=2.0)
    (row,) = documents(ask("devices", "--json"))
    assert (row["results"], row["complete"], row["missing"], row["quarantined"]) == (2, False, 3, 1)
    assert (row["active_variant"], row["desired_variant"]) == ("net-base", None)
    assert row["inventory"]["cpu_model"] == "Cortex-A72"
    assert "missing 3" in ask("devices").stdout
    (refused,) = documents(ask("quarantine", "--json"))
    assert refused["topic"] == "edgewright/v1/lab/box/result"


def test_devices_are_told_by_site_group_and_completeness_and_so_many(fill: Fill, ask: Ask) -> None:
    fill("a", GOOD, groups=["pi"])
    fill("b", GOOD, site="hall", first_seq=2)
    fill("c", GOOD)

    def told(*words: str) -> list[str]:
        return [one["device"] for one in documents(ask("devices", "--json", *words))]

    assert told() == ["b", "a", "c"]
    assert told("--site", "lab", "--limit", "1") == ["a"]
    assert told("--group", "pi") == ["a"]
    assert told("--incomplete") == ["b"]
    assert "No device is so." in ask("devices", "--site", "hall", "--group", "pi").stdout
    assert "No device is so." in ask("devices", "--presence", "online").stdout


def test_lists_of_a_device_each_are_short_for_people_and_whole_for_programs(
    fill: Fill, ask: Ask, database: Database
) -> None:
    for number in range(14):
        name = f"box-{number:02}"
        fill(name, GOOD, groups=["cold", f"g-{number:02}"])
        # Of another outbox: that of before was lost.
        payload = encode_message(make_result(device=name, epoch="e-2"))
        topic = topic_for("lab", name, Leaf.RESULT)
        again = Delivery(topic=topic, payload=payload, retained=False, received_at=time.time())
        Intake(database).take([again], now=time.time())
    lines = ask("group", "list").stdout.splitlines()
    names = ", ".join(f"lab/box-{number:02}" for number in range(10))
    assert lines[0] == f"cold: {names}, and 4 more; --json has all"
    assert (len(lines), lines[-1]) == (11, "and 5 more; --json has all")
    assert [len(one["devices"]) for one in documents(ask("group", "list", "--json"))] == [
        14, *[1] * 14
    ]  # fmt: skip
    told = ask("devices").stdout
    assert (told.count("outbox reset on"), told.count("and 4 more; --json has all")) == (10, 1)
    reasons = [one["identity_reason"] for one in documents(ask("devices", "--json"))]
    assert sum("outbox reset" in (one or "") for one in reasons) == 14


def test_a_name_that_no_device_has_is_wrong_use_and_gets_the_nearest(fill: Fill, ask: Ask) -> None:
    """An empty table would be taken for an answer."""
    fill("a", GOOD, groups=["pi4"])
    for command in ("devices", "recommendations"):
        for option, given, hint in (
            ("--site", "lap", "no device of site 'lap': did you mean lab?"),
            ("--site", "moon", "no device of site 'moon': 'edgewright-fleet devices' lists them"),
            ("--group", "p4", "no device of group 'p4': did you mean pi4?"),
            ("--group", "z", "of group 'z': 'edgewright-fleet group list' lists them"),
        ):
            done = ask(command, "--json", option, given)
            assert (done.returncode, done.stdout) == (2, "")
            assert hint in done.stderr


def test_what_a_device_tells_as_its_group_is_asked_for_and_given_by_the_same_name(
    fill: Fill, ask: Ask, tmp_path: Path
) -> None:
    name = "Cold Hall"
    fill("a", GOOD, groups=[name])
    fill("b", GOOD)
    assert ask("group", "add", name, "b").returncode == 0
    told = documents(ask("devices", "--json", "--group", name))
    assert [one["device"] for one in told] == ["a", "b"]
    policy = tmp_path / "cold.toml"
    policy.write_text(
        f'name = "cold"\nobjectives = ["max top1"]\n[groups."{name}"]\n'
        'constraints = ["p95_ms <= 5"]\n'
    )
    rows = documents(ask("recommendations", "--group", name, "--policy", str(policy), "--json"))
    assert [one["constraints"] for one in rows] == [["p95_ms <= 5"]] * 2
    assert ask("group", "remove", name, "b").returncode == 0


def test_a_wrong_name_of_a_group_is_wrong_use_in_the_same_words(
    fill: Fill, ask: Ask, tmp_path: Path
) -> None:
    """Also where an agent of before told it, whose inventory was taken."""
    fill("a", GOOD, groups=["x/y"])
    policy = tmp_path / "wrong.toml"
    policy.write_text('name = "p"\nobjectives = ["max top1"]\n[groups."x/y"]\n')
    calls = (
        ("devices", "--group", "x/y"),
        ("recommendations", "--group", "x/y"),
        ("recommendations", "--policy", str(policy)),
        ("group", "add", "x/y", "a"),
        ("group", "remove", "x/y", "a"),
    )
    for arguments in calls:
        done = ask(*arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert group_fault("x/y") in done.stderr


def test_an_unknown_device_gets_the_nearest_names(fill: Fill, ask: Ask) -> None:
    fill("gate-north")
    fill("gate-south")
    done = ask("explain", "gate-nroth")
    assert (done.returncode, done.stdout) == (2, "")
    assert "unknown device 'gate-nroth': did you mean lab/gate-north" in done.stderr


def test_a_name_at_two_sites_asks_which(fill: Fill, ask: Ask) -> None:
    fill("box")
    fill("box", site="hall")
    done = ask("results", "box")
    assert done.returncode == 2
    assert "say which: hall/box, lab/box" in done.stderr


def test_a_wrong_policy_is_one_line_and_wrong_use(fill: Fill, ask: Ask) -> None:
    fill("box")
    done = ask("recommendations", "--policy", "fastets", "--json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_without_a_store_the_commands_say_how_to_make_one(ask: Ask) -> None:
    done = ask("devices")
    assert (done.returncode, done.stdout) == (1, "")
    assert "edgewright-fleet serve" in done.stderr


def test_apply_publishes_a_retained_desired_state_once_per_change(
    fill: Fill, ask: Ask, mosquitto: Mosquitto, connect: Callable[..., DeviceClient]
) -> None:
    fill("box", GOOD, FAST)
    (dry,) = documents(ask("apply", "--dry-run", "--json", "--broker", mosquitto.url))
    assert (dry["changed"], dry["desired"]["generation"]) == (True, 1)
    (first,) = documents(ask("apply", "--json", "--broker", mosquitto.url))
    assert first["changed"]
    (again,) = documents(ask("apply", "--json", "--broker", mosquitto.url))
    assert (again["changed"], again["desired"]["generation"]) == (False, 1)
    (faster,) = documents(
        ask("apply", "lab/box", "--json", "--broker", mosquitto.url, "--policy", "fastest")
    )
    assert faster["changed"] is False, "net-sq8 loses more than the budget"

    device = connect(mosquitto.url)
    assert eventually(lambda: len(device.heard) == 1)
    topic, body, retained = device.heard[0]
    message = decode_message(topic, body)[1]
    assert isinstance(message, Desired)
    assert (message.variant, message.sha256, message.threads) == ("net-base", "ab" * 32, 1)
    assert (message.policy, message.generation, retained) == ("most-accurate", 1, True)
    (row,) = documents(ask("devices", "--json"))
    assert (row["desired_variant"], row["desired_generation"]) == ("net-base", 1)


@ON_BOTH
def test_apply_raises_the_generation_when_the_choice_changes(
    fill: Fill, ask: Ask, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    fill("box", GOOD, FAST)
    ask("apply", "--broker", mosquitto.url)
    policy = tmp_path / "speed.toml"
    policy.write_text('name = "speed"\nobjectives = ["min p95_ms"]\n')
    (row,) = documents(ask("apply", "--policy", str(policy), "--json", "--broker", mosquitto.url))
    assert (row["desired"]["variant"], row["desired"]["generation"]) == ("net-sq8", 2)


def test_a_nearest_miss_is_not_applied(fill: Fill, ask: Ask, mosquitto: Mosquitto) -> None:
    fill("slow", make_run("net-base", p50_ms=500))
    done = ask("apply", "slow", "--broker", mosquitto.url)
    assert done.returncode == 1
    assert "lab/slow: left alone; nearest-miss" in done.stdout


def test_apply_without_a_broker_stores_the_choice_and_says_so(fill: Fill, ask: Ask) -> None:
    fill("box", GOOD)
    done = ask("apply", "--broker", "mqtt://127.0.0.1:1", "--json")
    assert (done.returncode, done.stdout) == (1, "")
    assert "are stored; 'serve' publishes them" in done.stderr
    assert "is it running?" in done.stderr
    (row,) = documents(ask("devices", "--json"))
    assert (row["desired_variant"], row["phase"]) == ("net-base", "pending")


@ON_BOTH
def test_what_if_counts_who_would_change_and_stores_nothing(
    fill: Fill, ask: Ask, mosquitto: Mosquitto, tmp_path: Path
) -> None:
    fill("a", GOOD, FAST)
    fill("b", GOOD)
    fill("c", make_run("net-base", p50_ms=900.0))
    ask("apply", "a", "b", "--broker", mosquitto.url)
    policy = tmp_path / "quick.toml"
    policy.write_text(
        'name = "quick"\nconstraints = ["p95_ms <= 150"]\nobjectives = ["min p95_ms"]\n'
    )
    before = json.loads(ask("explain", "a", "--json").stdout)["recommendation"]["decision_id"]
    document = json.loads(ask("whatif", "--policy", str(policy), "--json").stdout)
    told = [document[name] for name in ("devices", "would_change", "would_stay", "left_alone")]
    assert told == [3, 1, 1, 1]
    assert document["moves"] == [
        {
            "before": {"variant": "net-base", "threads": 1},
            "after": {"variant": "net-sq8", "threads": 1},
            "devices": 1,
        }
    ]
    shown = ask("whatif", "--policy", str(policy)).stdout
    assert "1 of 3 devices would change, 1 stay, and 1 be left alone" in shown
    assert "net-base at 1 thread -> net-sq8 at 1 thread" in shown
    after = json.loads(ask("explain", "a", "--json").stdout)["recommendation"]["decision_id"]
    assert after == before


def test_what_if_under_the_present_policy_changes_nothing(
    fill: Fill, ask: Ask, mosquitto: Mosquitto
) -> None:
    fill("a", GOOD, FAST)
    first = json.loads(ask("whatif", "--json").stdout)
    assert (first["would_change"], first["changes"][0]["now"]) == (1, None)
    ask("apply", "--broker", mosquitto.url)
    assert json.loads(ask("whatif", "--json").stdout)["would_change"] == 0


def test_help_answers_for_every_command_and_those_below_it() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).output
    context = click.Context(cli)
    for name in cli.list_commands(context):
        assert name in shown
        command = cli.get_command(context, name)
        below = command.list_commands(context) if isinstance(command, click.Group) else []
        for words in ([name], *([name, one] for one in below)):
            assert CliRunner().invoke(cli, [*words, "--help"]).exit_code == 0, words


def test_the_ready_policies_can_be_read(ask: Ask) -> None:
    assert ask("policies").stdout.split() == ["fastest", "least-energy", "most-accurate"]
    assert 'name = "fastest"' in ask("policies", "fastest").stdout
