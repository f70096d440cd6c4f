"""The API as the process that an operator starts."""

from __future__ import annotations

import contextlib
import json
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from fleet.authority.authority import Authority
from fleet.store.database import Database
from support.api import ApiProcess
from support.commands import run_command
from support.devices import eventually
from support.filling import fill
from support.measurements import make_run


@pytest.fixture
def start(tmp_path: Path, database: Database) -> Iterator[Callable[..., ApiProcess]]:
    """Start the command on this test's store; it is ended afterwards."""
    environment = {
        "EDGEWRIGHT_DB": database.url,
        "EDGEWRIGHT_AUTHORITY": str(tmp_path / "authority"),
    }
    with contextlib.ExitStack() as stack:

        def begin(*words: str) -> ApiProcess:
            process = ApiProcess(list(words), tmp_path / "api.log", environment)
            stack.callback(process.close)
            return process

        yield begin


def ask(database: Database, *words: str) -> subprocess.CompletedProcess[str]:
    return run_command("fleet", *words, "--db", database.url)


def test_it_answers_until_it_is_told_to_stop_whoever_listens(
    start: Callable[..., ApiProcess], database: Database
) -> None:
    fill(database, "box", make_run())
    api = start("--listen", "127.0.0.1:0")
    assert httpx.get(f"{api.url}/api/v1/devices/lab/box").json()["results"] == 1
    with httpx.stream("GET", f"{api.url}/api/v1/events", timeout=30) as answer:
        assert answer.status_code == 200
        assert api.stop() == 0
    assert "Traceback" not in api.log.read_text()


def test_off_loopback_it_wants_tokens_and_brings_tls(
    start: Callable[..., ApiProcess], database: Database, tmp_path: Path
) -> None:
    refused = ask(database, "api", "--listen", "0.0.0.0:0")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "edgewright-fleet token create" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    token = ask(database, "token", "create", "reader").stdout.strip()
    api = start("--listen", "0.0.0.0:0")
    assert api.url.startswith("https://0.0.0.0:")
    url = f"https://127.0.0.1:{api.url.rpartition(':')[2]}"
    ca = str(Authority.existing(tmp_path / "authority").ca_file)
    with httpx.Client(verify=ssl.create_default_context(cafile=ca)) as client:
        assert client.get(f"{url}/api/v1/devices").status_code == 401
        shown = {"Authorization": f"Bearer {token}"}
        assert client.get(f"{url}/api/v1/devices", headers=shown).status_code == 200
    with pytest.raises(httpx.HTTPError):
        httpx.get(url.replace("https", "http"))


def test_it_takes_a_certificate_of_the_operator(
    start: Callable[..., ApiProcess], tmp_path: Path
) -> None:
    theirs = Authority.open(tmp_path / "theirs")
    api = start("--listen", "127.0.0.1:0", "--tls-cert", str(theirs.server_file))
    context = ssl.create_default_context(cafile=str(theirs.ca_file))
    assert httpx.get(f"{api.url}/api/v1/health", verify=context).status_code == 200


def test_with_tokens_only_loopback_is_closed_too_whatever_it_is_called(
    start: Callable[..., ApiProcess],
) -> None:
    """So is what stands behind a proxy."""
    api = start("--listen", "127.0.0.1:0", "--tokens-only")
    headers = {"Host": "fleet.example.org"}
    assert httpx.get(f"{api.url}/api/v1/devices", headers=headers).status_code == 401
    assert httpx.get(f"{api.url}/api/v1/health", headers=headers).status_code == 200


def test_what_keeps_it_from_starting_is_one_line(
    start: Callable[..., ApiProcess], database: Database, tmp_path: Path
) -> None:
    api = start("--listen", "127.0.0.1:0")
    where = api.url.removeprefix("http://")
    missing = str(tmp_path / "no.pem")
    for words, code, said in (
        (("--listen", where), 1, "name another with --listen"),
        (("--listen", "127.0.0.1:0", "--tls-cert", missing), 1, "expected a certificate"),
    ):
        done = ask(database, "api", *words)
        assert (done.returncode, done.stdout, said in done.stderr) == (code, "", True), done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_its_log_may_be_one_object_a_line(start: Callable[..., ApiProcess]) -> None:
    api = start("--listen", "127.0.0.1:0", "--log-format", "json", "-v")
    httpx.get(f"{api.url}/api/v1/devices")
    assert eventually(lambda: "/api/v1/devices" in api.log.read_text())
    (line,) = [json.loads(line) for line in api.log.read_text().splitlines()]
    told = {key: line[key] for key in ("event", "level", "method", "path", "status")}
    assert told == {
        "event": "answered",
        "level": "DEBUG",
        "method": "GET",
        "path": "/api/v1/devices",
        "status": 200,
    }


def test_tokens_are_made_listed_and_voided_by_name(database: Database) -> None:
    made = ask(database, "token", "create", "grafana", "--days", "30")
    assert (made.returncode, made.stdout[:4]) == (0, "ewf_")
    (told,) = json.loads(ask(database, "token", "list", "--json").stdout)
    assert (told["name"], told["role"], told["last_used_on"]) == ("grafana", "read", None)
    assert ask(database, "token", "revoke", "grafana").returncode == 0
    again = ask(database, "token", "revoke", "grafana")
    assert (again.returncode, "there is none" in again.stderr) == (2, True)


def test_help_of_the_fleet_imports_no_web_server() -> None:
    code = (
        "import sys, fleet.cli; assert not {'fastapi', 'uvicorn', 'prometheus_client', 'pyarrow'}"
        " & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
