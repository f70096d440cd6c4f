"""A box belongs to one deploy until the last of what that began there has ended."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.deploy.box import Python, look
from fleet.deploy.interrupt import Interrupt
from fleet.deploy.layout import Layout, user_layout
from fleet.deploy.lock import locked
from fleet.deploy.remote_command import BoxLock
from fleet.deploy.ssh import Ssh
from fleet.errors import (
    BoxUnreachableError,
    DeployError,
    DeployInterruptedError,
    RemoteError,
)
from support.box import Box, is_at_work
from support.processes import wait_until

#: A deploy of its own, which a test kills: it holds a box and runs one script there.
DEPLOY = """\
import json, sys
from pathlib import Path
from fleet.deploy.box import look
from fleet.deploy.layout import user_layout
from fleet.deploy.lock import locked
from fleet.deploy.ssh import Ssh

told = json.loads(sys.argv[1])
with Ssh(told["target"], config=Path(told["config"])) as ssh:
    there = look(ssh)
    with locked(ssh, user_layout(there, None), there.suitable_python(), as_root=False):
        ssh.doing = "install release 1"
        ssh.run(told["script"], finish=told["finish"])
"""


@pytest.fixture(scope="module")
def box(make_box: Callable[..., Box]) -> Box:
    return make_box()


@pytest.fixture
def ssh(box: Box) -> Iterator[Ssh]:
    with connection(box) as opened:
        yield opened


@pytest.fixture(scope="module")
def place(box: Box) -> tuple[Layout, Python]:
    with connection(box) as opened:
        there = look(opened)
    return user_layout(there, None), there.suitable_python()


def connection(box: Box, interrupt: Interrupt | None = None) -> Ssh:
    return Ssh(box.sshd.target, config=box.sshd.client_config, interrupt=interrupt)


def deploying(box: Box, script: str, *, finish: bool = False) -> subprocess.Popen[bytes]:
    told = {
        "target": box.sshd.target,
        "config": str(box.sshd.client_config),
        "script": script,
        "finish": finish,
    }
    return subprocess.Popen([sys.executable, "-P", "-c", DEPLOY, json.dumps(told)])


def is_free(box: Box, place: tuple[Layout, Python]) -> bool:
    try:
        with connection(box) as other, locked(other, *place, as_root=False):
            return True
    except DeployError as error:
        if "another deploy" not in str(error):
            raise
        return False


def sleeping(folder: Path) -> str:
    """A script that writes its process ids, its own and a child's, and then goes on for long."""
    return (
        f"sleep 600 & echo $! >{folder}/child.new; mv {folder}/child.new {folder}/child\n"
        f"echo $$ >{folder}/itself.new; mv {folder}/itself.new {folder}/itself\nwait"
    )


def pids(folder: Path) -> list[int]:
    names = ("itself", "child")
    wait_until("the script runs", lambda: all((folder / one).exists() for one in names))
    return [int((folder / one).read_text()) for one in names]


def test_what_a_killed_deploy_began_ends_and_then_the_box_is_free(
    box: Box, place: tuple[Layout, Python], tmp_path: Path
) -> None:
    process = deploying(box, sleeping(tmp_path))
    found = pids(tmp_path)
    assert not is_free(box, place)
    process.kill()
    process.wait()
    wait_until("all of it has ended", lambda: not any(map(is_at_work, found)))
    wait_until("the box is free", lambda: is_free(box, place))


def test_a_script_that_must_be_finished_keeps_the_box_until_it_is(
    box: Box, ssh: Ssh, place: tuple[Layout, Python], tmp_path: Path
) -> None:
    script = (
        f"touch {tmp_path}/begun\nwhile ! [ -e {tmp_path}/go ]; do sleep 0.1; done\n"
        f"touch {tmp_path}/ended"
    )
    process = deploying(box, script, finish=True)
    wait_until("the script runs", (tmp_path / "begun").exists)
    process.kill()
    process.wait()
    with (
        pytest.raises(DeployError, match=r"another deploy of .* \(install release 1\); wait"),
        locked(ssh, *place, as_root=False),
    ):
        pass
    (tmp_path / "go").touch()
    wait_until("the box is free", lambda: is_free(box, place))
    assert (tmp_path / "ended").exists()


def test_what_runs_there_ends_with_its_connection(
    box: Box, place: tuple[Layout, Python], tmp_path: Path
) -> None:
    failures: list[Exception] = []

    def work(ssh: Ssh) -> None:
        try:
            with locked(ssh, *place, as_root=False):
                ssh.run(sleeping(tmp_path))
        except DeployError as error:
            failures.append(error)

    with connection(box) as first:
        thread = threading.Thread(target=work, args=[first])
        thread.start()
        found = pids(tmp_path)
        first.break_off()
        thread.join()
    assert isinstance(failures[0], BoxUnreachableError)
    wait_until("all of it has ended", lambda: not any(map(is_at_work, found)))
    wait_until("the box is free", lambda: is_free(box, place))


def test_a_wish_to_end_ends_what_runs_there_before_anything_else_is_done(
    box: Box, place: tuple[Layout, Python], tmp_path: Path
) -> None:
    interrupt = Interrupt()
    alive: list[bool] = []

    def wish() -> None:
        alive.extend(map(is_at_work, pids(tmp_path)))
        interrupt.request()

    thread = threading.Thread(target=wish)
    thread.start()
    with connection(box, interrupt) as ssh, locked(ssh, *place, as_root=False):
        with pytest.raises(DeployInterruptedError):
            ssh.run(sleeping(tmp_path))
        thread.join()
        assert alive == [True, True]
        assert not any(map(is_at_work, pids(tmp_path)))
        with pytest.raises(DeployInterruptedError):
            ssh.run("true")
        with interrupt.held_off():
            assert ssh.run("echo taken back").strip() == "taken back"


def test_a_script_that_does_not_heed_the_wish_is_killed(
    box: Box, place: tuple[Layout, Python], tmp_path: Path
) -> None:
    interrupt = Interrupt()
    threading.Thread(target=lambda: (pids(tmp_path), interrupt.request())).start()
    with connection(box, interrupt) as ssh, locked(ssh, *place, as_root=False):
        with pytest.raises(DeployInterruptedError):
            ssh.run(f"trap '' TERM\n{sleeping(tmp_path)}")
        assert not any(map(is_at_work, pids(tmp_path)))


def test_no_script_runs_on_a_box_that_another_deploy_has_taken(
    ssh: Ssh, place: tuple[Layout, Python], tmp_path: Path
) -> None:
    lock = Path(place[0].lock)
    with locked(ssh, *place, as_root=False):
        ssh.run("true")
        mine = json.loads(lock.read_text())["token"]
        lock.write_text(lock.read_text().replace(mine, "0" * len(mine)))
        with pytest.raises(RemoteError, match="another deploy has taken the box"):
            ssh.run(f"touch {tmp_path}/ran")
        lock.unlink()
        with pytest.raises(RemoteError, match="the lock of this deploy is lost"):
            ssh.run(f"touch {tmp_path}/ran")
    assert not (tmp_path / "ran").exists()


def test_half_a_file_is_not_taken_for_a_whole_one(
    box: Box, place: tuple[Layout, Python], tmp_path: Path
) -> None:
    class Breaking(io.BytesIO):
        """Breaks the connection after its first part."""

        parts = 0

        def read(self, size: int | None = -1) -> bytes:
            self.parts += 1
            if self.parts > 1:
                ssh.break_off()
            return super().read(size)

    part, whole = tmp_path / "part", tmp_path / "whole"
    with (
        connection(box) as ssh,
        pytest.raises(BoxUnreachableError),
        locked(ssh, *place, as_root=False),
    ):
        ssh.send(f"cat >{part} && mv {part} {whole}", Breaking(b"x" * 10**6))
    wait_until("the box is free", lambda: is_free(box, place))
    assert not whole.exists()


def test_a_file_arrives_whole_and_a_failed_command_is_told(
    ssh: Ssh, place: tuple[Layout, Python], tmp_path: Path
) -> None:
    content = os.urandom(700_000)
    with locked(ssh, *place, as_root=False):
        ssh.send(f"cat >{tmp_path}/whole", io.BytesIO(content))
        with pytest.raises(RemoteError, match="no such luck") as raised:
            ssh.send("echo no such luck >&2; exit 7", io.BytesIO(content))
    assert (tmp_path / "whole").read_bytes() == content
    assert raised.value.code == 7


def test_a_box_is_let_go_where_nobody_gives_a_sign_of_life(
    box: Box, ssh: Ssh, place: tuple[Layout, Python]
) -> None:
    """As where this machine lost its power, which the box's sshd notices hours later."""
    layout, python = place
    lock = BoxLock(python=python.path, path=str(layout.lock), silent_s=1.0)
    with ssh.holding(lock) as answer:
        assert json.loads(answer) == {"answer": "held"}
        wait_until("the box is free", lambda: is_free(box, place))


def test_a_deploy_of_before_still_excludes_one_of_now(
    box: Box, place: tuple[Layout, Python]
) -> None:
    """It takes the whole lock for itself, and writes nothing into the file."""
    holder = (
        "import fcntl, sys\nfile = open(sys.argv[1], 'w')\nfcntl.flock(file, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\nsys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", holder, str(place[0].lock)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    assert not is_free(box, place)
    process.send_signal(signal.SIGTERM)
    process.communicate()
    assert is_free(box, place)
