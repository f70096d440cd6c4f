"""A broker's queue, filled while the fleet's service is away, for it to drain."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from benchmarks.lib.ready import await_ready
from builder.errors import BuilderError

#: Far longer than anything here takes.
PATIENCE_S = 300.0
_LOOK_S = 0.02


@contextlib.contextmanager
def serving(url: str, store: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the fleet's `serve` on a broker within the block, once it is ready."""
    words = [sys.executable, "-m", "fleet", "serve", "--broker", url, "--db", f"sqlite:///{store}"]
    with (folder / "fleet.log").open("ab") as log:
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        await_ready(process, folder / "fleet.log")
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


def fill(host: str, port: int, stream: list[tuple[str, bytes]]) -> None:
    """Publish topics and payloads, until the broker has them all."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="devices")
    client.max_inflight_messages_set(1000)
    client.connect(host, port)
    client.loop_start()
    for topic, payload in stream:
        last = client.publish(topic, payload, 1)
    last.wait_for_publish(PATIENCE_S)
    client.disconnect()
    client.loop_stop()


def await_stored(store: Path, count: int) -> None:
    """Wait until so many results are in the file.

    Raises:
        BuilderError: they do not come.
    """
    deadline = time.monotonic() + PATIENCE_S
    with contextlib.closing(sqlite3.connect(store)) as connection:
        while (connection.execute("SELECT MAX(id) FROM results").fetchone()[0] or 0) < count:
            if time.monotonic() > deadline:
                message = f"not all of {count} results were stored"
                raise BuilderError(message)
            time.sleep(_LOOK_S)
