"""Starts the project's own programs for the scripts, shows what it starts, and ends it again."""

from __future__ import annotations

import contextlib
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.markup import escape

READY_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20

#: A pipe gets lines as long as a wide terminal's.
console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)


def program(name: str) -> str:
    """Path of one of the environment's programs."""
    return str(Path(sys.executable).with_name(name))


def show(*words: object) -> None:
    """Show a command as one would type it."""
    text = shlex.join(str(word) for word in words)
    console.print(f"[dim]$ {escape(text)}[/dim]", soft_wrap=True)


def run(name: str, *arguments: object) -> None:
    """Show and run one of the programs; the script ends where it fails."""
    words = [str(argument) for argument in arguments]
    show(name, *words)
    done = subprocess.run([program(name), *words], check=False)
    if done.returncode != 0:
        fail(f"{name} {words[0]} ended with exit code {done.returncode}")


def fail(text: str) -> NoReturn:
    """End the script."""
    console.print(f"[bold red]It stopped:[/bold red] {escape(text)}")
    raise SystemExit(1)


def free_broker_url() -> str:
    """URL of a broker on a free port of the loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"mqtt://127.0.0.1:{probe.getsockname()[1]}"


@contextlib.contextmanager
def fleet(broker: str, database: str, log: Path) -> Iterator[None]:
    """A collector with a broker of its own, ready when the block begins."""
    listen = broker.removeprefix("mqtt://")
    command = [program("edgewright-fleet"), "serve", "--listen", listen, "--db", database]
    with log.open("w") as log_file:
        collector = subprocess.Popen(command, stdout=log_file, stderr=log_file)
    with ended(collector):
        deadline = time.monotonic() + READY_TIMEOUT_S
        while "ready" not in log.read_text():
            if collector.poll() is not None or time.monotonic() > deadline:
                fail(f"the fleet did not start; its log is {log}:\n{log.read_text()}")
            time.sleep(0.1)
        yield


@contextlib.contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[None]:
    """See to it that a process has ended after the block, however that ends."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
