"""Log lines as objects."""

from __future__ import annotations

import importlib
import io
import json
import logging
import sys
from typing import Any

import pytest

from edgewright.rate_limit import BURST, RateLimit
from fleet.logs import JsonFormatter
from support.devices import eventually


def line(message: str, *values: object, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    """What a call of a logger becomes."""
    record = logging.LogRecord(
        "fleet.x", logging.WARNING, __file__, 1, message, values, more.get("exc_info")
    )
    record.created = 1_700_000_000.25
    text = JsonFormatter().format(record)
    assert text.isascii()
    assert "\n" not in text
    told: dict[str, Any] = json.loads(text)
    return told


def test_words_are_the_event_and_pairs_are_fields() -> None:
    assert line("stored results=%d lag_s=%.1f who=%s", 3, 0.25, None) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "WARNING",
        "logger": "fleet.x",
        "event": "stored",
        "message": "stored results=3 lag_s=0.2 who=None",
        "results": 3,
        "lag_s": 0.25,
        "who": None,
    }


def test_what_strangers_say_stays_one_field_of_one_line() -> None:
    told = line("quarantined topic=%a bytes=%d reason=%a", "a\n=\ud800 level=x", 3, "bad key=1")
    assert (told["event"], told["topic"], told["bytes"], told["reason"]) == (
        "quarantined",
        "a\n=\ud800 level=x",
        3,
        "bad key=1",
    )


@pytest.mark.parametrize(
    ("message", "values", "event", "fields"),
    [
        ("closed reason=message of %d bytes", (5,), "closed", {"reason": "message of 5 bytes"}),
        ("gave up %d of %s kept=%d", (1, "x", 2), "gave up %d of %s", {"kept": 2}),
        ("the collector is gone", (), "the collector is gone", {}),
        ("came level=%s at=%r", ("low", 2.5), "came", {"level_": "low", "at": 2.5}),
        ("100%% done share=%s", ("x",), "100%% done", {"share": "x"}),
    ],
)
def test_other_messages_keep_their_values(
    message: str, values: tuple[object, ...], event: str, fields: dict[str, object]
) -> None:
    told = line(message, *values)
    assert told["event"] == event
    assert told["level"] == "WARNING"
    assert {key: told[key] for key in fields} == fields


def test_an_exception_is_a_field() -> None:
    try:
        json.loads("")
    except ValueError:
        told = line("failed", exc_info=sys.exc_info())
    assert "JSONDecodeError" in told["exception"]


def test_the_count_of_what_was_left_out_is_a_field() -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(RateLimit(period_s=0.1))
    logger = logging.getLogger("limited")
    logger.addHandler(handler)
    try:
        for number in range(BURST + 5):
            logger.warning("refused username=%r", f"u-{number}")
        assert eventually(lambda: written.getvalue().count("\n") == BURST + 1)
    finally:
        logger.removeHandler(handler)
    last = json.loads(written.getvalue().splitlines()[-1])
    assert (last["event"], last["username"], last["more"]) == ("refused", "u-14", 4)


@pytest.mark.parametrize(
    "name",
    [
        "edgewright.connections",
        "edgewright.http_limits",
        "fleet.api.metrics",
        "fleet.api.problem",
        "fleet.api.routes.events",
        "fleet.broker.client_connection",
        "fleet.broker.doorkeeper",
        "fleet.broker.embedded",
        "fleet.collecting.batch",
        "fleet.collecting.intake",
        "fleet.mqtt.link",
    ],
)
def test_modules_whose_records_clients_cause_are_limited(name: str) -> None:
    importlib.import_module(name)
    assert any(isinstance(one, RateLimit) for one in logging.getLogger(name).filters)
