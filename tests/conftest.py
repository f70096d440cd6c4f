"""Fixtures that tests of several packages share."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from edgewright.rate_limit import RateLimit
from support.brokers import Mosquitto
from support.faults.table import fault, pytest_terminal_summary
from support.fleet_fixtures import postgres
from support.modes import wide_umask

# How long an example takes says which processor this is, and what else it does just now.
settings.register_profile("any-host", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-host")

#: Collecting takes a tenth of a second, so it is not done after each test.
_MANY_FILES, _OPEN_FILES = 256, Path("/proc/self/fd")
_TESTS = Path(__file__).parent
#: Folders with files that take a minute or two.
_LONGEST = ["system", "benchmarks", "builder", "agent", "faults"]

__all__ = ["fault", "postgres", "pytest_terminal_summary", "wide_umask"]


@pytest.fixture(scope="session", autouse=True)
def _processes_can_be_interrupted() -> None:
    """Let signals end the processes under test, however this run was started.

    A shell ignores SIGINT for its background jobs, nohup ignores SIGHUP, and children inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        # This run itself goes on; what it starts has the default again.
        signal.signal(signal.SIGHUP, lambda *_: None)


@pytest.fixture(autouse=True)
def _rate_limits_begin_anew() -> None:
    """Let each test log as a fresh process does."""
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            logger.filters = [
                RateLimit() if type(one) is RateLimit else one for one in logger.filters
            ]


@pytest.fixture(autouse=True)
def _lost_clients_are_closed() -> Iterator[None]:
    """Close the sockets of paho clients that nobody holds any more, before they are too many.

    paho keeps a pair of sockets until its client is collected, and waits by `select`, which takes
    no file number from 1,024 on: later tests of the process could not connect.
    """
    yield
    if sum(1 for _ in _OPEN_FILES.iterdir()) > _MANY_FILES:
        gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files whose tests take longest first, for the last files decide how long a run takes.

    Each file goes to one worker as a whole: a minute that begins last leaves the others idle.
    """
    order = [_TESTS / folder for folder in _LONGEST]

    def place(item: pytest.Item) -> int:
        return next((n for n, one in enumerate(order) if one in item.path.parents), len(order))

    items.sort(key=place)


@pytest.fixture(scope="session")
def mosquitto_program() -> str:
    program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        reason = "mosquitto is not installed: apt install mosquitto"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@pytest.fixture
def mosquitto(mosquitto_program: str, tmp_path: Path) -> Iterator[Mosquitto]:
    folder = tmp_path / "mosquitto"
    folder.mkdir()
    broker = Mosquitto(mosquitto_program, folder)
    broker.start()
    yield broker
    broker.stop()
