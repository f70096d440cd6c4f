"""A Mosquitto of the benchmark's own, on a free port of the loopback."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lib.ports import free_port
from builder.errors import BuilderError

_PATIENCE_S = 60
#: Not in everybody's path.
_PLACES = ("/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto")

#: What the broker was told; printed with every figure. Nothing is written to disk, and nobody's
#: queue is bounded, so that a whole preload waits for one subscriber.
SETTINGS = ("allow_anonymous true", "persistence false", "max_queued_messages 0")


@contextlib.contextmanager
def mosquitto(
    scratch: Path, *, config: Path | None = None, port: int | None = None
) -> Iterator[str]:
    """Run it within the block; gives its URL.

    Args:
        scratch: for its log, and its configuration where none is given.
        config: a configuration to use; `port` is where it listens then.
        port: where to listen; by default anywhere.

    Raises:
        BuilderError: it is not installed, or does not start.
    """
    program = shutil.which("mosquitto") or next(filter(lambda p: Path(p).exists(), _PLACES), None)
    if program is None:
        message = "mosquitto is not installed: apt install mosquitto"
        raise BuilderError(message)
    port, log = port or free_port(), scratch / "mosquitto.log"
    if config is None:
        config = scratch / "mosquitto.conf"
        config.write_text("\n".join((f"listener {port} 127.0.0.1", *SETTINGS, "")))
    with log.open("wb") as log_file:
        process = subprocess.Popen([program, "-c", str(config)], stdout=log_file, stderr=log_file)
    try:
        _await(port, process, log)
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        if process.poll() is not None or time.monotonic() > deadline:
            message = f"mosquitto does not start: {log.read_text()}"
            raise BuilderError(message)
        time.sleep(0.02)
