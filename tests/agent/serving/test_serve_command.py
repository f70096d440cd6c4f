"""`edgewright-agent serve` as a person starts and stops it."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from contract.bundleset import read_set
from support.processes import Process, program, wait_until
from support.serving import Serving, picture, workers


@pytest.fixture
def start(good_set: Path, tmp_path: Path) -> Iterator[Callable[..., tuple[Process, Serving]]]:
    """Starts the command on a free port and waits until it serves."""
    log = tmp_path / "serve.log"
    words = [program("edgewright-agent"), "serve", "--bundles", str(good_set), "--port", "0"]
    process = Process(words, log)

    def run(*options: str) -> tuple[Process, Serving]:
        process.words += options
        process.start()
        wait_until("it listens", lambda: process.says("listening on "))
        found = re.search(r"listening on (http://\S+)\n", log.read_text())
        assert found is not None
        server = Serving(found[1])
        server.wait_until_ready()
        return process, server

    yield run
    if process.popen is not None and process.popen.poll() is None:
        process.kill()


def of(process: Process) -> psutil.Process:
    assert process.popen is not None
    return psutil.Process(process.popen.pid)


def test_the_server_stays_small_and_never_loads_torch_numpy_or_pillow(
    start: Callable[..., tuple[Process, Serving]],
) -> None:
    """Only its worker does, and images go through unread."""
    process, server = start("--top", "2", "--variant", "tiny-sq8", "--fast-decode")
    answers = [server.predict(picture(kind="JPEG")).json for _ in range(20)]
    assert {(answer["variant"], len(answer["top"])) for answer in answers} == {("tiny-sq8", 2)}
    maps = Path(f"/proc/{of(process).pid}/maps").read_text()
    assert not re.findall(r"libtorch|numpy|PIL/", maps)
    assert of(process).memory_info().rss <= 45_000_000
    assert process.stop() == 0


def test_sigterm_lets_accepted_requests_be_answered(
    start: Callable[..., tuple[Process, Serving]],
) -> None:
    """The worker gets the signal too, as from a service manager; it ends when it is told."""
    process, server = start()
    (worker,) = workers(of(process))
    worker.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(server.predict, picture()) for _ in range(2)]
        wait_until("both are there", lambda: server.in_flight() == 2)
        of(process).send_signal(signal.SIGTERM)
        worker.send_signal(signal.SIGTERM)
        wait_until("it closes", lambda: process.says("event=closing"))
        worker.send_signal(signal.SIGCONT)
        replies = [one.result() for one in asked]
    assert [reply.status for reply in replies] == [200, 200]
    assert replies[0].headers["connection"] == "close"
    assert process.wait() == 0
    wait_until("the worker is gone", lambda: not worker.is_running())


def test_a_killed_server_takes_its_worker_along(
    start: Callable[..., tuple[Process, Serving]],
) -> None:
    process, _ = start()
    (worker,) = workers(of(process))
    process.kill()
    wait_until("the worker is gone", lambda: not worker.is_running())


def test_the_active_variant_of_the_state_folder_is_served(
    start: Callable[..., tuple[Process, Serving]], good_set: Path, tmp_path: Path
) -> None:
    member = read_set(good_set).member("tiny-dq8")
    assert member is not None
    (tmp_path / "active.json").write_text(
        f'{{"active_variant": "tiny-dq8", "active_sha256": "{member.sha256}"}}'
    )
    _, server = start("--state-dir", str(tmp_path))
    assert server.health()["variant"] == "tiny-dq8"


def test_without_anything_said_the_baseline_is_served(
    start: Callable[..., tuple[Process, Serving]],
) -> None:
    _, server = start()
    assert server.health()["variant"] == "tiny-base"


def refused(*options: str, expect: int) -> str:
    words = [program("edgewright-agent"), "serve", *options]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == expect, done.stderr
    return done.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "printer.example"])  # noqa: S104 - refused
def test_other_machines_are_let_in_only_on_express_wish(good_set: Path, host: str) -> None:
    said = refused("--bundles", str(good_set), "--host", host, expect=1)
    assert "there is no authentication" in said
    assert "--allow-remote" in said


def test_what_cannot_be_served_ends_with_a_sentence(good_set: Path, tmp_path: Path) -> None:
    assert "--config is needed" in refused(expect=2)
    bundles = ("--bundles", str(good_set), "--port", "0")
    assert "expected one of tiny-" in refused(*bundles, "--variant", "vgg", expect=1)
    assert "edgewright-builder build" in refused("--bundles", str(tmp_path), expect=1)


def test_a_port_in_use_is_named(
    good_set: Path, start: Callable[..., tuple[Process, Serving]]
) -> None:
    _, server = start()
    port = str(server.place[1])
    said = refused("--bundles", str(good_set), "--port", port, expect=1)
    assert f"cannot listen on 127.0.0.1:{port}" in said
