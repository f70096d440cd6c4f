from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator

import pytest

from edgewright.rate_limit import BURST, RateLimit, limit_libraries, rate_limited_logger

FLOOD = 1_245


class Heard(logging.Handler):
    """Keeps the messages that are written."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def logger(heard: Heard) -> Iterator[logging.Logger]:
    """One with a short period."""
    made = logging.getLogger(f"limited-{uuid.uuid4().hex}")
    made.addFilter(RateLimit(period_s=0.2))
    made.addHandler(heard)
    made.propagate = False
    yield made
    made.removeHandler(heard)


def soon(holds: Callable[[], bool]) -> bool:
    until = time.monotonic() + 20.0
    while not holds() and time.monotonic() < until:
        time.sleep(0.01)
    return holds()


def test_a_flood_is_some_lines_and_then_its_count(logger: logging.Logger, heard: Heard) -> None:
    for number in range(FLOOD):
        logger.warning("refused username=%r", f"stranger-{number}")
    assert heard.messages == [f"refused username='stranger-{n}'" for n in range(BURST)]
    assert soon(lambda: len(heard.messages) > BURST)
    assert heard.messages[BURST:] == [
        f"refused username='stranger-{FLOOD - 1}' more={FLOOD - BURST - 1}"
    ]


def test_another_place_in_the_code_has_its_own_limit(logger: logging.Logger, heard: Heard) -> None:
    for _ in range(FLOOD):
        logger.warning("100% refused")
    logger.warning("another")
    assert heard.messages[BURST:] == ["another"]
    assert soon(lambda: f"100% refused more={FLOOD - BURST - 1}" in heard.messages)


def test_a_period_that_is_over_is_followed_by_a_new_one(
    logger: logging.Logger, heard: Heard
) -> None:
    def refuse() -> bool:
        logger.warning("refused")
        return heard.messages[BURST + 1 :] != []

    for _ in range(BURST + 1):
        refuse()
    assert heard.messages == ["refused"] * BURST
    # The last one was the only one that was held back.
    assert soon(lambda: heard.messages == ["refused"] * (BURST + 1))
    assert refuse()


def test_a_module_gets_one_limit_however_often_it_asks() -> None:
    name = f"limited-{uuid.uuid4().hex}"
    assert rate_limited_logger(name) is rate_limited_logger(name)
    assert len(rate_limited_logger(name).filters) == 1


def test_libraries_are_limited_and_ours_are_not(heard: Heard) -> None:
    limit_libraries(heard, ours=("ours",))
    for name in ("asyncio", "ours.module"):
        logger = logging.getLogger(name)
        logger.addHandler(heard)
        try:
            for _ in range(3 * BURST):
                logger.warning("of %s", name)
        finally:
            logger.removeHandler(heard)
    assert heard.messages.count("of asyncio") == BURST
    assert heard.messages.count("of ours.module") == 3 * BURST
