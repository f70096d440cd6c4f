"""Log lines: text for people, or one JSON object a line for programs that collect them."""

from __future__ import annotations

import enum
import json
import logging
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from edgewright.logging import LineFormatter
from edgewright.rate_limit import limit_libraries

#: Where a field begins: `key=` after a space.
_FIELD = re.compile(r"(?:^| )([a-z_][a-z0-9_]*)=")
#: Where a value goes; `%%` takes none.
_PLACE = re.compile(r"%%|(%[-#0 +]*\d*(?:\.\d+)?[a-zA-Z])")


class LogFormat(enum.StrEnum):
    """How a line of the log looks."""

    TEXT = "text"
    JSON = "json"


class JsonFormatter(logging.Formatter):
    """One object a line: `time`, `level`, `logger`, `event`, `message`, and a field for each key.

    Calls log fixed words and then `key=%s` pairs. The words are the event, which stays the same
    whatever the values are; each pair becomes a field with the value itself, numbers as numbers.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Render a record; always one line of ASCII, whatever strangers' words are in it."""
        event, pairs = _taken_apart(record)
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "event": event,
            "message": record.getMessage(),
        }
        # A field may not pass for one of ours.
        line |= {(f"{key}_" if key in line else key): value for key, value in pairs.items()}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str).replace("\x7f", r"\u007f")


def set_up_logging(log_format: LogFormat, *, level: int, fleet_level: int | None = None) -> None:
    """Log to standard error; `level` for everybody, `fleet_level` for our own words."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        JsonFormatter()
        if log_format is LogFormat.JSON
        else LineFormatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    )
    limit_libraries(handler, ours=("fleet", "edgewright", "contract"))
    logging.basicConfig(handlers=[handler], level=level)
    logging.captureWarnings(capture=True)
    if fleet_level is not None:
        logging.getLogger("fleet").setLevel(fleet_level)


def _taken_apart(record: logging.LogRecord) -> tuple[str, dict[str, object]]:
    """The fixed words of a record, and its fields."""
    template = str(record.msg)
    starts = list(_FIELD.finditer(template))
    words = template[: starts[0].start()] if starts else template
    values: Iterator[object] = iter(record.args if isinstance(record.args, tuple) else ())
    # What the words themselves hold is in the message.
    for _ in _places(words):
        next(values, None)
    pairs: dict[str, object] = {}
    for index, start in enumerate(starts):
        end = starts[index + 1].start() if index + 1 < len(starts) else len(template)
        pairs[start[1]] = _value(template[start.end() : end], values)
    return words, pairs


def _value(text: str, values: Iterator[object]) -> object:
    places = _places(text)
    if not places:
        return text
    taken = tuple(next(values, None) for _ in places)
    if text == places[0]:
        value = taken[0]
        return value if isinstance(value, str | int | float | bool | None) else str(value)
    return text % taken


def _places(text: str) -> list[str]:
    return [place for place in _PLACE.findall(text) if place]
