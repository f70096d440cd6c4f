"""A deploy that is ended in the middle, politely or not, and the one after it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.box import PYTHON, Box, is_at_work
from support.collectors import ServeProcess
from support.processes import wait_until
from support.wheels import other_wheel

PATIENCE_S = 240
SILENT_WHEN_RUN = """

def _be_silent(*_: object, **__: object) -> None:
    import time

    time.sleep(600)


Daemon.run = _be_silent
"""


class Gate:
    """A program of the box that waits in the middle of what it does until it is let through."""

    def __init__(self, folder: Path, name: str, condition: str, real: str) -> None:
        self.folder = folder
        self.program = folder / name
        self.program.write_text(
            f"#!/bin/sh\nif ! [ -e {folder}/go ] && {condition}; then\n"
            f'  for last; do :; done\n  mkdir -p "$last" && echo half >"$last/half"\n'
            f"  echo $$ >{folder}/begun.new && mv {folder}/begun.new {folder}/begun\n"
            f'  while ! [ -e {folder}/go ]; do sleep 0.1; done\nfi\nexec {real} "$@"\n'
        )
        self.program.chmod(0o755)

    def await_begin(self, log: Path) -> int:
        """Process id of the one that waits."""
        try:
            wait_until("it waits", (self.folder / "begun").exists)
        except AssertionError as error:
            raise AssertionError(log.read_text()) from error
        return int((self.folder / "begun").read_text())

    def open(self) -> None:
        (self.folder / "go").touch()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServeProcess]:
    folder = tmp_path_factory.mktemp("fleet")
    where = ["--authority", str(folder / "authority"), "--db", f"sqlite:///{folder / 'fleet.db'}"]
    process = ServeProcess(["--listen", "mqtts://127.0.0.1:0", *where], folder / "serve.log")
    yield process
    process.close()


@pytest.fixture
def options(serve: ServeProcess) -> list[str]:
    return [
        "--user", "--system-site-packages", "--broker", serve.url,
        "--authority", str(serve.log.parent / "authority"),
    ]  # fmt: skip


def ended(process: subprocess.Popen[bytes], number: signal.Signals) -> int:
    process.send_signal(number)
    return process.wait(PATIENCE_S)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_deploy_that_is_ended_takes_its_release_with_it(
    make_box: Callable[..., Box], options: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    gate = Gate(tmp_path, "python", 'case "$*" in *"-m venv"*) true;; *) false;; esac', str(PYTHON))
    box, log = make_box(*options, "--python", str(gate.program)), tmp_path / "log"
    process = box.start(log=log)
    pid = gate.await_begin(log)
    assert list((box.base / "releases").iterdir()) != []
    assert ended(process, number) == 1
    said = log.read_text()
    assert "install release" in said
    assert ": interrupted. No agent was started" in said
    assert not is_at_work(pid)
    assert list((box.base / "releases").iterdir()) == []
    assert not (box.base / "current").exists()


def test_a_killed_deploy_leaves_nothing_behind_once_the_next_one_ran(
    make_box: Callable[..., Box], options: list[str], tmp_path: Path
) -> None:
    gate = Gate(tmp_path, "python", 'case "$*" in *"-m venv"*) true;; *) false;; esac', str(PYTHON))
    box, log = make_box(*options, "--python", str(gate.program)), tmp_path / "log"
    process = box.start(log=log)
    pid = gate.await_begin(log)
    assert ended(process, signal.SIGKILL) == -signal.SIGKILL
    wait_until("what it began there has ended", lambda: not is_at_work(pid))
    (left,) = (box.base / "releases").iterdir()
    (box.base / "releases/0-of-before").mkdir()
    (box.base / "incoming/of-before.part").touch()
    (box.base / "bundles/of-before").mkdir()
    gate.open()
    done = box.deploy("--device", "was-killed")
    assert done.code == 0, done.errors
    assert "remove what an earlier deploy left: of-before, " in done.errors
    assert [one.name for one in (box.base / "releases").iterdir()] == [left.name]
    assert not (left / "half").exists()
    assert list((box.base / "bundles").iterdir()) == []
    assert box.is_alive()


def test_the_old_agent_comes_back_where_a_deploy_is_ended_after_the_switch(
    make_box: Callable[..., Box], options: list[str], tmp_path: Path
) -> None:
    box, log = make_box(*options, "--python", str(PYTHON)), tmp_path / "log"
    first = box.deploy("--device", "comes-back")
    assert first.code == 0, first.errors
    release = box.release
    wheel = other_wheel(tmp_path, {"agent/daemon.py": SILENT_WHEN_RUN})
    process = box.start("--wheel", str(wheel), log=log)
    wait_until("it was switched", lambda: "wait for its announcement" in log.read_text())
    assert ended(process, signal.SIGTERM) == 1
    assert f": interrupted. The old agent ({release}) was started again" in log.read_text()
    assert box.release == release
    assert box.is_alive()
    # The silent one still ran, so its release may be sound: the next good deploy decides.
    assert "Its last words" not in log.read_text()


def test_a_removal_that_is_ended_says_where_and_the_next_one_ends_it(
    make_box: Callable[..., Box], options: list[str], tmp_path: Path
) -> None:
    gate = Gate(tmp_path, "rm", 'case "$*" in *releases*) true;; *) false;; esac', "/bin/rm")
    (tmp_path / "go").touch()
    box, log = make_box(*options, "--python", str(PYTHON), tools=tmp_path), tmp_path / "log"
    first = box.deploy("--device", "half-removed")
    assert first.code == 0, first.errors
    (tmp_path / "go").unlink()
    other = Box(box.sshd, box.tools, box.removing_options)
    process = other.start("--remove", "--purge", log=log)
    pid = gate.await_begin(log)
    busy = box.remove()
    assert busy.code == 1
    assert "(remove its releases)" in busy.errors
    assert ended(process, signal.SIGTERM) == 1
    assert "remove its releases: interrupted. Part of the agent is still there" in log.read_text()
    assert not is_at_work(pid)
    gate.open()
    done = box.remove("--purge")
    assert done.code == 0, done.errors
    assert not box.base.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_leaves_the_connection_for_taking_back(
    make_box: Callable[..., Box], options: list[str], tmp_path: Path, number: signal.Signals
) -> None:
    """A terminal and `timeout` send theirs to ssh as well, which belongs to the same group."""
    gate = Gate(tmp_path, "python", 'case "$*" in *"-m venv"*) true;; *) false;; esac', str(PYTHON))
    box, log = make_box(*options, "--python", str(gate.program)), tmp_path / "log"
    process = box.start(log=log, is_group_leader=True)
    gate.await_begin(log)
    os.killpg(process.pid, number)
    assert process.wait(PATIENCE_S) == 1
    assert ": interrupted. No agent was started" in log.read_text()
    assert list((box.base / "releases").iterdir()) == []
