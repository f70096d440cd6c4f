"""The bell that ends a sleep."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from agent.bell import Bell

LONG_S = 60.0


@pytest.fixture
def bell() -> Iterator[Bell]:
    made = Bell()
    yield made
    made.close()


def test_a_ring_from_another_thread_ends_the_wait(bell: Bell) -> None:
    threading.Timer(0.05, bell.ring).start()
    assert bell.wait(LONG_S)


def test_rings_that_nobody_waited_for_are_one_ring(bell: Bell) -> None:
    for _ in range(100_000):
        bell.ring()
    assert bell.wait(LONG_S)
    while bell.take():
        pass
    assert not bell.wait(0.0)


def test_a_ring_from_a_signal_handler_ends_the_wait(bell: Bell) -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: bell.ring())
    try:
        threading.Timer(0.05, os.kill, [os.getpid(), signal.SIGUSR1]).start()
        assert bell.wait(LONG_S)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_closed_bell_takes_rings_in_silence() -> None:
    bell = Bell()
    bell.close()
    bell.ring()
