"""Every command over a store that a hostile device has filled."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import httpx
import paho.mqtt.client as mqtt
import pytest

from contract.benchmark import RunStatus
from contract.box import Board
from contract.messages import Phase, Update, encode_message
from contract.topics import Leaf, topic_for
from fleet.cli import cli
from fleet.collecting.intake import Intake
from fleet.mqtt.delivery import Delivery
from fleet.mqtt.long_texts import LONGEST_TEXT
from fleet.store.database import Database, open_database
from support.collectors import ServeProcess
from support.commands import run_command
from support.devices import eventually
from support.filling import deliver, fill
from support.hostile import HOSTILE, HOSTILE_NAME, PLAIN_END, unfit
from support.measurements import make_run

#: As long as a message may be, nearly.
LONG = HOSTILE + "x" * 200_000
NAMED = "lab/box"
#: What makes the runs those of the box as it is now.
SAME = {"set_id": HOSTILE, "fingerprint": HOSTILE}
Run = Callable[..., subprocess.CompletedProcess[str]]
#: Words after each command, so that it prints what the device has told; DB is its store, FOLDER a
#: folder of its own.
WORDS: dict[str, list[list[str]]] = {
    "apply": [["--dry-run"], [NAMED, "--dry-run"]],
    "backup": [["FOLDER"]],
    "devices": [[]],
    "explain": [[NAMED]],
    "export": [
        [subject, "--output", "-", "--format", form]
        for subject in ("devices", "results", "recommendations")
        for form in ("json", "ndjson")
    ],
    "group add": [["mine", NAMED]],
    "group list": [[]],
    "group remove": [["hostile", NAMED], [HOSTILE, NAMED]],
    "policies check": [["most-accurate"], ["FOLDER/policy.toml"]],
    "predict": [[], [NAMED]],
    "quarantine": [[]],
    "quarantine replay": [["--all"]],
    "quarantine show": [["1"], ["2"]],
    "recommendations": [[]],
    "results": [[NAMED], [NAMED, "--distribution"]],
    "retain": [["--samples-days", "1", "--quarantine-most", "1"]],
    "token create": [["reader"]],
    "token list": [[]],
    "token revoke": [["nobody"]],
    "whatif": [[]],
}
#: Nothing of a store is printed by these. What they print of a broker, a box or of requests goes
#: through the same rooms (tests/edgewright/test_rooms_for_output.py).
OF_NO_STORE = {
    "api", "ask", "broker-config", "conform", "deploy", "enroll", "enrolled", "policies show",
    "restore", "revoke", "serve", "simulate",
}  # fmt: skip


def commands(group: click.Group, *names: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, by its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            if found.invoke_without_command and name != "policies":
                yield " ".join([*names, name]), found
            yield from commands(found, *names, name)
        else:
            yield " ".join([*names, name]), found


COMMANDS = dict(commands(cli))
RUNS = [(name, words) for name, several in WORDS.items() for words in several]


@pytest.fixture(scope="module")
def hostile_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one device that tells nothing but hostile texts."""
    path = tmp_path_factory.mktemp("hostile") / "fleet.db"
    database = open_database(f"sqlite:///{path}", create=True)
    fill(
        database,
        "box",
        make_run(notes=[HOSTILE], engine=HOSTILE, dataset=HOSTILE, **SAME),
        make_run("net-2", status=RunStatus.CRASHED, reason=LONG, notes=[HOSTILE], **SAME),
        make_run("net-3", family=HOSTILE, architecture=HOSTILE, **SAME),
        cpu_model=HOSTILE,
        groups=["hostile", HOSTILE, LONG[:60_000], "=cmd"],
        os=HOSTILE,
        kernel=HOSTILE,
        **SAME,
        emulates=HOSTILE,
        variants=[HOSTILE],
        governor=HOSTILE,
        board=Board(model=HOSTILE),
    )
    _send(database, Leaf.UPDATE, encode_message(_failed(LONG)))
    _send(database, Leaf.RESULT, b'{"x": "' + LONG.encode() + b'"}')
    _send(database, Leaf.STATE, json.dumps({"site": HOSTILE, "device": HOSTILE}).encode())
    database.close()
    return path


def _send(database: Database, leaf: Leaf, payload: bytes) -> None:
    message = deliver("lab", "box", leaf, payload)
    strange = Delivery(
        topic=f"edgewright/v1/{HOSTILE}",
        payload=payload,
        retained=False,
        received_at=1.0,
    )
    Intake(database).take([message, strange], now=1.0)


def _failed(reason: str) -> Update:
    return Update(site="lab", device="box", at=1.0, phase=Phase.FAILED, generation=0, reason=reason)


@pytest.fixture
def run(hostile_store: Path, tmp_path: Path) -> Run:
    """Run a command on a copy of the hostile store."""
    copy = tmp_path / "fleet.db"
    copy.write_bytes(hostile_store.read_bytes())
    (tmp_path / "policy.toml").write_text(
        'name = "mine"\n[[constraints]]\nmetric = "p95_ms"\nmost = "\\u001b[2J\\u202e"\n'
    )

    def started(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        given = [word.replace("FOLDER", str(tmp_path)) for word in words]
        return run_command("fleet", *name.split(), *given, "--db", f"sqlite:///{copy}")

    return started


def test_every_command_is_either_tried_or_known_to_print_nothing_of_a_store() -> None:
    assert set(COMMANDS) == set(WORDS) | OF_NO_STORE


@pytest.mark.parametrize(("name", "words"), RUNS)
def test_no_command_prints_what_a_terminal_acts_on(
    name: str,
    words: list[str],
    run: Run,
) -> None:
    done = run(name, *words)
    assert done.returncode in (0, 1, 2)
    assert done.stdout or done.stderr
    assert "Traceback" not in done.stderr
    assert not unfit(done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (name, words)
        for name, words in RUNS
        if any("--json" in option.opts for option in COMMANDS[name].params)
    ],
)
def test_json_hides_nothing_and_is_one_document(
    name: str,
    words: list[str],
    run: Run,
) -> None:
    done = run(name, *words, "--json")
    assert not unfit(done.stdout + done.stderr)
    assert done.stdout == "" or json.loads(done.stdout) is not None


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_command_repeats_an_argument_as_it_came(name: str) -> None:
    done = run_command("fleet", *name.split(), f"--{HOSTILE}")
    assert done.returncode == 2
    assert PLAIN_END in done.stderr
    assert not unfit(done.stdout + done.stderr)


@pytest.mark.parametrize(
    "words",
    [
        ["api", "--listen", HOSTILE],
        ["ask", HOSTILE, __file__],
        ["ask", f"lab/{HOSTILE}", __file__],
        ["broker-config", "--listen", HOSTILE],
        ["conform", "--broker", f"mqtt://{HOSTILE}"],
        ["deploy", f"user@{HOSTILE}", "--dry-run"],
        ["enroll", HOSTILE],
        ["explain", HOSTILE],
        ["group", "add", HOSTILE, NAMED],
        ["policies", HOSTILE],
        ["policies", "check", HOSTILE],
        ["recommendations", "--policy", HOSTILE],
        ["restore", HOSTILE],
        ["results", HOSTILE],
        ["revoke", HOSTILE],
        ["serve", "--listen", HOSTILE],
        ["simulate", "--site", HOSTILE],
        ["token", "revoke", HOSTILE],
    ],
    ids=lambda words: " ".join(words).replace(HOSTILE, "..."),
)
def test_an_error_names_what_was_given_without_acting_on_it(
    words: list[str], hostile_store: Path, tmp_path: Path
) -> None:
    given = {
        "EDGEWRIGHT_DB": f"sqlite:///{hostile_store}",
        "EDGEWRIGHT_AUTHORITY": str(tmp_path / HOSTILE_NAME),
    }
    done = run_command("fleet", *words, environment=os.environ | given)
    assert done.returncode in (1, 2)
    assert len(done.stderr.strip().splitlines()) >= 1
    assert "Traceback" not in done.stderr
    assert not unfit(done.stdout + done.stderr)


@pytest.mark.parametrize(
    ("name", "words", "found"),
    [
        ("devices", [], lambda rows: rows[0]["phase_reason"]),
        ("results", [NAMED], lambda rows: rows[1]["reason"]),
    ],
)
def test_tables_are_bounded_and_json_has_all(
    name: str,
    words: list[str],
    found: Callable[[list[dict[str, str]]], str],
    run: Run,
) -> None:
    table = run(name, *words).stdout
    assert len(table) < 10_000
    assert "…" in table
    told = found(json.loads(run(name, *words, "--json").stdout))
    # The fleet stores the beginning of it, and says so.
    assert len(told) <= LONGEST_TEXT
    assert LONG.startswith(told[:3_000])


def test_a_group_of_a_long_name_is_a_short_line_that_begins_as_it_is_called(
    run: Run,
) -> None:
    lines = run("group list").stdout.splitlines()
    assert len(lines) == 4
    assert all(line.endswith(f": {NAMED}") and len(line) < 300 for line in lines)
    assert any(PLAIN_END in line for line in lines)


def test_an_explanation_shows_a_reason_on_its_line_as_far_as_a_line_goes(run: Run) -> None:
    (line,) = [
        one
        for one in run("explain", NAMED).stdout.splitlines()
        if "net-2 at 1 thread: crashed" in one
    ]
    assert PLAIN_END in line


def test_a_row_is_a_line_whatever_its_cells_say(run: Run) -> None:
    assert len(run("results", NAMED).stdout.splitlines()) == 1 + 3
    assert len(run("devices").stdout.splitlines()) == 1 + 1


def test_a_csv_on_standard_output_acts_on_nothing(run: Run) -> None:
    for subject in ("devices", "results", "recommendations"):
        done = run("export", subject, "--output", "-", "--format", "csv")
        assert done.returncode == 0
        assert not unfit(done.stdout + done.stderr, allowed="\n\r\t")


def test_the_logs_of_serve_are_fit_for_a_terminal(start_serve: Callable[..., ServeProcess]) -> None:
    for log_format in ("text", "json"):
        serve = start_serve("--listen", "127.0.0.1:0", "-v", "--log-format", log_format)
        host, port = serve.url.removeprefix("mqtt://").split(":")
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=HOSTILE)
        client.username_pw_set(HOSTILE, HOSTILE)
        client.connect(host, int(port))
        client.loop_start()
        for topic in (topic_for("lab", "box", Leaf.RESULT), f"edgewright/v1/{HOSTILE}"):
            client.publish(topic, b"\xff{" + HOSTILE.encode(), 1)
        assert eventually(lambda log=serve.log: "quarantined" in log.read_text())
        client.disconnect()
        client.loop_stop()
        assert serve.stop() == 0
        assert not unfit(serve.log.read_bytes().decode())


def test_the_log_of_the_api_is_fit_for_a_terminal(hostile_store: Path, tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fleet", "api", "-v", "--listen", "127.0.0.1:0",
             "--db", f"sqlite:///{hostile_store}"],
            stdout=subprocess.PIPE, stderr=errors, text=True,
        )  # fmt: skip
    with process:
        assert process.stdout is not None
        url = process.stdout.readline().split("http=")[1].split()[0]
        paths = [f"/api/v1/{HOSTILE}", f"/api/v1/devices/lab/{HOSTILE}", "/api/v1/groups"]
        for path in paths:
            httpx.get(url + urllib.parse.quote(path), headers={"User-Agent": "x\x1b[2J"})
        with socket.create_connection(urllib.parse.urlsplit(url).netloc.split(":")) as raw:
            raw.sendall(b"\x1b[2J\xff / HTTP/1.1\r\n\r\n")
            raw.recv(100)
        process.terminate()
    assert log.read_bytes() != b""
    assert not unfit(log.read_bytes().decode())


def test_a_policy_check_names_the_stores_groups_without_acting_on_them(
    run: Run,
    tmp_path: Path,
) -> None:
    (tmp_path / "policy.toml").write_text(
        'name = "mine"\n[[objectives]]\nmaximize = "top1"\n[group."hostil"]\n'
    )
    done = run("policies check", "FOLDER/policy.toml")
    assert not unfit(done.stdout + done.stderr)
