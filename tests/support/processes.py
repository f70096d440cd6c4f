"""The three programs as processes of their own, and questions to them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from support.commands import run_command

PATIENCE_S = 120


def children() -> set[psutil.Process]:
    """What runs below this process: servers that all modules share, and what a test started."""
    return set(psutil.Process().children())


def program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def run(name: str, *arguments: object, expect: int = 0) -> str:
    """Standard output of a command that must end with the expected exit code."""
    done = run_command(name.removeprefix("edgewright-"), *arguments, timeout_s=PATIENCE_S)
    assert done.returncode == expect, f"{done.args}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_json(name: str, *arguments: object) -> Any:  # noqa: ANN401 - JSON
    return json.loads(run(name, *arguments, "--json"))


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"gave up waiting until {what}"
        time.sleep(0.1)


@dataclass
class Process:
    """One long-running command with its log."""

    words: list[str]
    log: Path
    popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.popen = subprocess.Popen(self.words, stdout=log, stderr=log)

    def says(self, text: str) -> bool:
        assert self.popen is not None
        assert self.popen.poll() is None or text in self.log.read_text(), self.log.read_text()
        return text in self.log.read_text()

    def kill(self) -> None:
        assert self.popen is not None
        self.popen.kill()
        self.popen.wait()

    def wait(self) -> int:
        """Exit code once it has ended by itself."""
        assert self.popen is not None
        return self.popen.wait(PATIENCE_S)

    def stop(self) -> int:
        """Ask it to end and return its exit code."""
        assert self.popen is not None
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(PATIENCE_S)


@dataclass
class Fleet:
    """A collector process and questions to its store."""

    folder: Path
    broker_url: str
    embedded: bool
    #: More that `serve` is told.
    more: tuple[str, ...] = ()
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        where = (
            ("--listen", self.broker_url.removeprefix("mqtt://"))
            if self.embedded
            else ("--broker", self.broker_url)
        )
        self.process = Process(
            [program("edgewright-fleet"), "serve", *where, "--db", self.database, *self.more],
            self.folder / "fleet.log",
        )

    @property
    def database(self) -> str:
        return f"sqlite:///{self.folder / 'fleet.db'}"

    def start(self) -> None:
        seen = self.process.log.read_text().count("ready") if self.process.log.exists() else 0
        self.process.start()
        wait_until(
            "the fleet is ready",
            lambda: (
                self.process.says("ready") and self.process.log.read_text().count("ready") > seen
            ),
        )

    def ask(self, *arguments: object) -> Any:  # noqa: ANN401 - JSON
        return run_json("edgewright-fleet", *arguments, "--db", self.database)
