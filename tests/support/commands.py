"""Commands of the builder and the fleet, each in a process of its own that is there at once.

Importing torch takes a program seconds, and a fleet's commands one. A process that has imported
them is forked for each command: exit code, output, environment and folder are those of a process
that was started. What is stopped or killed is started for real, and so is every agent.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner, Result

import fleet.commands
from fleet.cli import cli

_SERVER = Path(__file__).with_name("fork_server.py")
_MODULES = {
    "builder": ["builder.cli", "builder.pipeline"],
    "fleet": [
        "fleet.cli",
        *(f"fleet.commands.{one.name}" for one in pkgutil.iter_modules(fleet.commands.__path__)),
    ],
}


def run_command(
    package: str,
    *arguments: object,
    folder: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    timeout_s: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run a command of `builder`, `fleet` or `agent` to its end."""
    words = [f"edgewright-{package}", *(str(argument) for argument in arguments)]
    if package not in _MODULES:
        words[0] = str(Path(sys.executable).with_name(words[0]))
        return subprocess.run(
            words, capture_output=True, text=True, timeout=timeout_s, check=False,
            cwd=folder, env=environment,
        )  # fmt: skip
    asked = {"words": words, "folder": str(folder or Path.cwd()), "environment": dict(environment)}
    ours, theirs = socket.socketpair()
    with ours, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as error:
        with theirs:
            descriptors = [theirs.fileno(), output.fileno(), error.fileno()]
            socket.send_fds(_server(package), [b"."], descriptors)
        ours.settimeout(timeout_s)
        with ours.makefile("rw") as talk:
            talk.write(json.dumps(asked) + "\n")
            talk.flush()
            pid = int(talk.readline())
            try:
                code = int(talk.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(words, timeout_s) from None
        for file in (output, error):
            file.seek(0)
        return subprocess.CompletedProcess(
            words, code, output.read().decode(), error.read().decode()
        )


def run_fleet(*words: object, expect: int = 0) -> Result:
    """Run a command of `fleet` in this process, and see that it ends with an exit code."""
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == expect, done.output
    return done


@functools.cache
def _server(package: str) -> socket.socket:
    """What leads to the process that is forked."""
    ours, theirs = socket.socketpair()
    with theirs:
        # -P: this folder's modules are not the program's.
        process = subprocess.Popen(
            [sys.executable, "-P", _SERVER, package, str(theirs.fileno()), *_MODULES[package]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
        )
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours
