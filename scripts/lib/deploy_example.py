"""Shows deploys to a real sshd on the loopback, with everything that they print."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
# The sshd, the broker's process and the tiny networks are those of the tests.
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.collectors import ServeProcess  # noqa: E402
from support.sshd import Sshd  # noqa: E402
from support.tiny_bundles import SetMaker  # noqa: E402
from support.wheels import other_wheel  # noqa: E402

#: The same every time, so that what is printed is the same but for hashes and times.
PLACE = Path("/tmp/edgewright-deploy")  # noqa: S108 - removed at the end
SSH_PORT, BROKER = 2200, "mqtts://127.0.0.1:8884"
BROKEN = """

def _break(*_: object, **__: object) -> None:
    raise SystemExit("this release is broken")


Daemon.run = _break
"""
HOSTS = """\
[defaults]
user = true
bundles = "bundles"

[[hosts]]
host = "root@box"
ssh_config = "ssh_config"
groups = ["cold-hall"]

[[hosts]]
host = "root@gone"
ssh_config = "gone_config"
"""


def main() -> None:
    """Make a box on the loopback, deploy to it, and remove it."""
    if PLACE.exists():
        sys.exit(f"{PLACE} exists: remove it, if no other run of this script uses it")
    program = shutil.which("sshd")
    if program is None:
        sys.exit("sshd is not installed: apt install openssh-server")
    PLACE.mkdir()
    os.chdir(PLACE)
    try:
        with _box(program) as sshd, _fleet():
            _show(sshd)
    finally:
        os.chdir("/")
        shutil.rmtree(PLACE)


def _show(sshd: Sshd) -> None:
    maker = SetMaker(_made("bundles"))
    maker.add("tiny-base")
    maker.add("tiny-b2", top1=0.8)
    maker.finish()
    later = other_wheel(_made("later"), {"agent/__init__.py": "# a later release\n"})
    broken = other_wheel(_made("broken"), {"agent/daemon.py": BROKEN})
    print(
        "Recorded by scripts/deploy-example. The box is this very machine behind a real sshd on\n"
        "the loopback, which ssh knows as 'box'; no systemd runs there, so the install is one\n"
        "user's. The bundles are of a tiny network.\n"
    )
    deploy = [
        "edgewright-fleet", "deploy", sshd.target, "--user", "--ssh-config", "ssh_config",
        "--authority", "authority",
    ]  # fmt: skip
    first = ["--site", "plant-7", "--device", "press-03", "--broker", BROKER]
    _run("What would be done", [*deploy, *first, "--bundles", "bundles", "--dry-run"])
    _run("The first time", [*deploy, *first, "--bundles", "bundles"])
    _run("The same again", [*deploy, "--bundles", "bundles"])
    _run("A later release", [*deploy, "--wheel", str(later.relative_to(PLACE))])
    _run(
        "A release that does not start",
        [*deploy, "--wheel", str(broken.relative_to(PLACE)), "--timeout-s", "20"],
    )
    (PLACE / "hosts.toml").write_text(HOSTS)
    (PLACE / "gone_config").write_text("Host gone\n  HostName 127.0.0.1\n  Port 1\n")
    many = ["edgewright-fleet", "deploy", "--hosts", "hosts.toml", "--authority", "authority"]
    _run("Two boxes from a file, one of which is not there", many)
    _run("And off again", [*deploy, "--remove"])
    _run("With what the agent measured, and its password", [*deploy, "--remove", "--purge"])


def _run(title: str, words: list[str]) -> None:
    print(f"== {title}\n\n$ {shlex.join(words)}", flush=True)
    command = [sys.executable, "-P", "-m", "fleet", *words[1:]]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    # How long a step takes is another matter on each machine.
    print(re.sub(r"(?m)^      \d+ s\n", "", done.stdout), end="")
    print(f"(exit code {done.returncode})\n", flush=True)


def _made(name: str) -> Path:
    folder = PLACE / name
    folder.mkdir(exist_ok=True)
    return folder


@contextlib.contextmanager
def _box(program: str) -> Iterator[Sshd]:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    # What this machine tells pip, as its own settings would on a box.
    pip = {key: value for key, value in os.environ.items() if key.startswith("PIP_")}
    sshd = Sshd(program, PLACE, {"PATH": path} | pip, port=SSH_PORT)
    sshd.start()
    try:
        yield sshd
    finally:
        pid_file = sshd.home / ".local/share/edgewright/agent.pid"
        if pid_file.exists():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid_file.read_text()), signal.SIGTERM)
        sshd.stop()


@contextlib.contextmanager
def _fleet() -> Iterator[None]:
    listen = ["--listen", BROKER, "--authority", "authority", "--db", "sqlite:///fleet.db"]
    serve = ServeProcess(listen, PLACE / "serve.log")
    try:
        yield
    finally:
        serve.close()


if __name__ == "__main__":
    main()
