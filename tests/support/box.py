"""A box to deploy to: a real sshd with a home of its own, and the command that deploys there."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from support.commands import run_command
from support.processes import program
from support.sshd import Sshd

PATIENCE_S = 240
#: The Python below the virtual environment of the tests.
PYTHON = Path(sys.base_prefix) / "bin/python3"


def box_packages(folder: Path) -> Path:
    """What the box's Python finds installed: all that the tests have, but not Edgewright."""
    (torch,) = find_spec("torch").submodule_search_locations
    site = Path(torch).parent
    for one in site.iterdir():
        if "edgewright" not in one.name:
            (folder / one.name).symlink_to(one)
    return folder


def logging_ssh(folder: Path) -> Path:
    """A folder with an `ssh` that notes its arguments in `argv`, then is the real one."""
    program = folder / "ssh"
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >>{folder}/argv\nexec {shutil.which("ssh")} "$@"\n'
    )
    program.chmod(0o755)
    return folder


def is_at_work(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""
    except OSError:
        return False


@dataclass
class Done:
    """How a deploy ended."""

    code: int
    output: str
    errors: str

    @property
    def outcome(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.output)


@dataclass
class Box:
    """One box, and how to deploy to it."""

    sshd: Sshd
    tools: Path
    options: list[str] = field(default_factory=list)

    @property
    def base(self) -> Path:
        """Where `--user` installs."""
        return self.sshd.home / ".local/share/edgewright"

    @property
    def pid(self) -> int:
        return int((self.base / "agent.pid").read_text())

    @property
    def argv(self) -> str:
        """Every argument that ssh ever got."""
        return (self.tools / "argv").read_text()

    @property
    def release(self) -> str:
        return (self.base / "current").readlink().name

    def is_alive(self) -> bool:
        return is_at_work(self.pid)

    def deploy(self, *options: object) -> Done:
        words = ["deploy", self.sshd.target, "--ssh-config", self.sshd.client_config]
        path = f"{self.tools}:{os.environ['PATH']}"
        done = run_command(
            "fleet", *words, *self.options, *options,
            environment=os.environ | {"PATH": path}, timeout_s=PATIENCE_S,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def remove(self, *options: object) -> Done:
        """Take the agent off, with those options of the box that a removal has a use for."""
        return Box(self.sshd, self.tools, self.removing_options).deploy("--remove", *options)

    @property
    def removing_options(self) -> list[str]:
        return [one for one in self.options if one == "--user"]

    def start(
        self, *options: object, log: Path, is_group_leader: bool = False
    ) -> subprocess.Popen[bytes]:
        """A deploy as a process of its own, for tests that stop it; what it says goes to `log`."""
        words = [program("edgewright-fleet"), "deploy", self.sshd.target]
        words += ["--ssh-config", self.sshd.client_config, *self.options, *options]
        with log.open("wb") as file:
            group = 0 if is_group_leader else None
            return subprocess.Popen(
                list(map(str, words)), stdout=file, stderr=file, process_group=group
            )

    def close(self) -> None:
        """End the agent and the server."""
        if (self.base / "agent.pid").exists() and self.is_alive():
            os.kill(self.pid, signal.SIGTERM)
        self.sshd.stop()
