"""`edgewright-fleet` in processes of their own: `serve`, and `simulate`."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from benchmarks.lib.ready import await_ready
from fleet.simulating.tally import SimulationReport

_PATIENCE_S = 600.0
_LOOK_S = 0.2
#: The command line of the program.
FLEET = (sys.executable, "-P", "-m", "fleet")


def start_serve(words: Sequence[str], log: Path) -> subprocess.Popen[str]:
    """Start `serve`, and wait until it is ready.

    Raises:
        BuilderError: it does not start; the message has its log.
    """
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*FLEET, "serve", *words], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        await_ready(process, log)
    except BaseException:
        process.kill()
        process.wait(_PATIENCE_S)
        raise
    return process


@contextlib.contextmanager
def serving(words: Sequence[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `serve` within the block, from when it is ready on.

    Raises:
        BuilderError: it does not start; the message has its log.
    """
    process = start_serve(words, log)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(_PATIENCE_S)


@contextlib.contextmanager
def simulating(words: Sequence[str], log: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `simulate` within the block."""
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*FLEET, "simulate", *words, "--json"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(_PATIENCE_S)


def report_of(
    simulation: subprocess.Popen[str], while_waiting: Callable[[], object]
) -> SimulationReport:
    """What a simulation says in the end."""
    while simulation.poll() is None:
        while_waiting()
        with contextlib.suppress(subprocess.TimeoutExpired):
            simulation.wait(_LOOK_S)
    said, _ = simulation.communicate()
    return msgspec.json.decode(said, type=SimulationReport)
