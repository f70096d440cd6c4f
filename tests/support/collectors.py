"""Collector processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

_PATIENCE_S = 120


class ServeProcess:
    """A real `edgewright-fleet serve`."""

    def __init__(self, arguments: list[str], log: Path) -> None:
        """Start it and wait for its ready line."""
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fleet", "serve", *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        self.ready_line = self.process.stdout.readline()
        assert self.ready_line.startswith("ready "), log.read_text()
        self.url = self.ready_line.split("broker=")[1].split()[0]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE_S)

    def close(self) -> None:
        """End it, however."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(_PATIENCE_S)
        if self.process.stdout is not None:
            self.process.stdout.close()


def share_of(collector: ServeProcess) -> int:
    """How many results one collector says to have stored."""
    lines = [line for line in collector.log.read_text().splitlines() if " stored results=" in line]
    return sum(int(line.split("results=")[1].split()[0]) for line in lines)
