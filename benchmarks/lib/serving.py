"""A server on one core, and a client on another one that sends photographs."""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import psutil

from agent.affinity import usable_cores
from agent.probes.load import LoadMeter
from agent.serving.front import Prediction
from benchmarks.lib.photographs import photograph
from benchmarks.lib.serve_report import Sent, spread
from builder.errors import BuilderError
from builder.progress import Progress

_READY_SECONDS = 120.0
_ROOT = Path("/")


@dataclass(frozen=True, kw_only=True)
class Running:
    """A server that is ready."""

    host: str
    port: int
    process: psutil.Process

    @property
    def worker(self) -> psutil.Process:
        """The process that computes."""
        return next(p for p in self.process.children() if "agent.worker" in p.cmdline())

    def cpu_seconds(self) -> float:
        """Processor time of server and worker so far."""
        times = [one.cpu_times() for one in (self.process, self.worker)]
        return float(sum(one.user + one.system for one in times))

    def meter(self, core: int) -> LoadMeter:
        """Meter of what others take of the server's core."""
        return LoadMeter(_ROOT, cores=[core], own_seconds=self.cpu_seconds)


@contextmanager
def running(
    bundles: Path, variant: str, core: int, client_cores: set[int], *, fast_decode: bool
) -> Iterator[Running]:
    """Start the agent's own command on one core, and keep this process off it.

    Raises:
        BuilderError: it did not become ready.
    """
    words = [sys.executable, "-m", "agent", "serve", "--bundles", str(bundles)]
    words += ["--variant", variant, "--port", "0", "--threads", "1", "--log-level", "warning"]
    words += ["--fast-decode"] if fast_decode else []
    with tempfile.NamedTemporaryFile() as log:
        # What is started inherits the core; this process leaves it at once.
        _keep_to({core})
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT)
        _keep_to(client_cores)
        try:
            host, port = _address(Path(log.name), process)
            yield Running(host=host, port=port, process=psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait()


def send(
    server: Running,
    size: tuple[int, int],
    *,
    requests: int,
    warm_up: int,
    seed: int,
    progress: Progress,
) -> Sent:
    """Send a photograph again and again on one connection, each once the last was answered.

    Raises:
        BuilderError: an answer was no prediction.
    """
    width, height = size
    photo = photograph(width, height, seed)
    connection = http.client.HTTPConnection(server.host, server.port, timeout=_READY_SECONDS)
    samples: list[float] = []
    cpu_before = 0.0
    answers: list[Prediction] = []
    for number in range(-warm_up, requests):
        if number == 0:
            cpu_before = server.cpu_seconds()
        began = time.perf_counter()
        connection.request("POST", "/v1/predict", photo, {"Content-Type": "image/jpeg"})
        reply = connection.getresponse()
        body = reply.read()
        took_ms = (time.perf_counter() - began) * 1e3
        if reply.status != http.HTTPStatus.OK:
            message = f"the server answered {reply.status}: {body.decode(errors='replace')}"
            raise BuilderError(message)
        if number >= 0:
            samples.append(took_ms)
            answers.append(msgspec.json.decode(body, type=Prediction))
        progress.update(f"{width} x {height}", number + warm_up + 1, requests + warm_up)
    cpu_ms = (server.cpu_seconds() - cpu_before) * 1e3 / requests
    connection.close()
    parts = {
        name: [float(getattr(answer, f"{name}_ms")) for answer in answers]
        for name in ("decode", "preprocess", "inference", "postprocess")
    }
    rest = [took - sum(values) for took, *values in zip(samples, *parts.values(), strict=True)]
    return Sent(
        width=width,
        height=height,
        bytes=len(photo),
        requests=requests,
        end_to_end=spread(samples),
        cpu_ms=cpu_ms,
        **{name: spread(values) for name, values in parts.items()},
        rest=spread(rest),
        samples_ms=samples,
    )


def free_cores() -> tuple[int, set[int]]:
    """The idlest core, for the server, and those that are left for the client."""
    cores = usable_cores()
    (core,) = LoadMeter(_ROOT, cores=cores).idlest(1)
    return core, (cores - {core}) or cores


def _keep_to(cores: set[int]) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def _address(log: Path, process: subprocess.Popen[bytes]) -> tuple[str, int]:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"listening on (http://\S+)\n", log.read_text())
        if found is not None:
            url = urlsplit(found[1])
            host, port = str(url.hostname), int(url.port or 0)
            if _health(host, port).get("ready"):
                return host, port
        time.sleep(0.2)
    message = f"the server did not become ready: {log.read_text().strip() or 'it said nothing'}"
    raise BuilderError(message)


def _health(host: str, port: int) -> Mapping[str, Any]:
    connection = http.client.HTTPConnection(host, port, timeout=_READY_SECONDS)
    connection.request("GET", "/v1/health")
    return msgspec.json.decode(connection.getresponse().read(), type=dict[str, Any])
