"""The command `simulate`: what it prints, and how it ends."""

from __future__ import annotations

import json
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleet.authority.authority import Authority
from fleet.authority.rules import FLEET
from fleet.simulating.plan import Mode
from support.accounts import guarded_broker
from support.brokers import Mosquitto, free_port
from support.collectors import ServeProcess
from support.commands import run_command
from support.devices import eventually

StartServe = Callable[..., ServeProcess]
SIMULATE = [sys.executable, "-m", "fleet", "simulate"]
FEW = ("--devices", "6", "--rate", "100", "--results", "60")


def simulate(*words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = run_command("fleet", "simulate", *words)
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def test_json_is_one_document_and_progress_goes_to_standard_error(start_serve: StartServe) -> None:
    done = simulate(*FEW, "--broker", start_serve().url, "--json")
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["made"] == report["published"] == report["acknowledged"] == 60
    assert report["outstanding"] == 0
    assert report["mode"] == Mode.OWN.value
    assert sum(one["devices"] for one in report["kinds"]) == 6
    assert sum(one["acknowledged"] for one in report["kinds"]) == 60
    assert report["ack_p50_ms"] <= report["ack_p95_ms"] <= report["ack_max_ms"]


def test_people_are_told_the_mode_the_rate_and_what_became_of_the_results(
    start_serve: StartServe,
) -> None:
    told = simulate(*FEW, "--connections", "2", "--broker", start_serve().url).stdout
    assert "6 devices over 2 connections (devices share connections)" in told
    assert "published 60, acknowledged 60" in told
    assert "to the acknowledgement: p50 " in told


def test_a_broker_that_is_away_is_told_at_once() -> None:
    """Not after the whole time, in which no device gets in."""
    url = f"mqtt://127.0.0.1:{free_port()}"
    done = simulate("--duration", "3600", "--broker", url, expect=1)
    assert url in done.stderr
    assert (done.stdout, len(done.stderr.splitlines())) == ("", 1)


def test_results_that_nobody_stores_end_in_exit_code_1(mosquitto: Mosquitto) -> None:
    done = simulate(*FEW, "--grace", "1", "--broker", mosquitto.url, expect=1)
    assert "outstanding 60" in done.stdout
    assert "NOT everything is stored" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--duration", "5", "--storm", "9"), "storm at 9 s: expected before the end, at 5 s"),
        (("--variants", "999"), "variants 999: expected 1 to "),
        (("--samples", "5"), "samples 5: expected 0, or 12 to 4096"),
        (("--site", "No Site"), "site 'No Site'"),
        (("--broker", "http://somewhere"), "broker: expected mqtt://"),
        (
            ("--devices", "9", "--connections", "2", "--broker", "mqtts://127.0.0.1:1"),
            "connections 2: expected one for each of 9 devices",
        ),
    ],
)
def test_what_makes_no_sense_is_wrong_use(words: tuple[str, ...], said: str) -> None:
    assert said in simulate(*words, expect=2).stderr


def test_more_connections_than_a_process_may_have_files_are_wrong_use() -> None:
    done = subprocess.run(
        [*SIMULATE, "--devices", "500", "--connections", "500"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert "expected at most 192" in done.stderr


def test_devices_have_accounts_while_it_runs_and_none_afterwards(
    start_serve: StartServe, tmp_path: Path
) -> None:
    authority = str(tmp_path / "authority")
    serve = start_serve("--listen", "mqtts://127.0.0.1:0", "--authority", authority)
    words = (*FEW, "--storm", "0.2", "--broker", serve.url, "--authority", authority, "--json")
    report = json.loads(simulate(*words).stdout)
    assert report["acknowledged"] == 60
    assert report["connected"] >= 12
    assert set(Authority.existing(Path(authority)).accounts()) == {FLEET}


@pytest.mark.parametrize("kind", ["mosquitto", "nats"])
def test_a_broker_that_does_not_take_up_accounts_by_itself_is_told_at_once(
    tmp_path: Path, mosquitto_program: str, kind: str
) -> None:
    with guarded_broker(kind, tmp_path, mosquitto_program) as guarded:
        url, authority = f"mqtts://127.0.0.1:{guarded.address.port}", guarded.authority
        words = (*FEW, "--broker", url, "--authority", str(authority.folder))
        done = simulate(*words, expect=1)
    assert "takes new ones up by itself" in done.stderr
    assert not done.stdout
    assert set(authority.accounts()) == {FLEET}


def test_an_interrupted_simulation_waits_for_what_was_made(
    start_serve: StartServe, tmp_path: Path
) -> None:
    serve = start_serve("--listen", "127.0.0.1:0", "-v")
    words = ["--rate", "50", "--duration", "600", "--json", "--broker", serve.url]
    with (
        (tmp_path / "progress").open("wb") as progress,
        subprocess.Popen([*SIMULATE, *words], stdout=subprocess.PIPE, stderr=progress) as process,
    ):
        stores = re.compile(r"stored results=[1-9]")
        assert eventually(lambda: stores.search(serve.log.read_text()) is not None)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    report = json.loads(out)
    assert 0 < report["made"] == report["acknowledged"] < 30_000
    assert process.returncode == 0
