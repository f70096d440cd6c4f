"""Log lines as objects."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest

from fleet.logs import JsonFormatter


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
