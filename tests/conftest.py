"""Fixtures that tests of several packages share."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.brokers import Mosquitto
from support.faults.table import fault, pytest_terminal_summary
from support.fleet_fixtures import postgres

__all__ = ["fault", "postgres", "pytest_terminal_summary"]


@pytest.fixture(scope="session", autouse=True)
def _processes_can_be_interrupted() -> None:
    """Let SIGINT end the processes under test where this run was started in the background.

    A shell ignores SIGINT for its background jobs, and every child inherits that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
