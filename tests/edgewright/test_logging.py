"""Log lines, and what is written where nobody logs."""

from __future__ import annotations

import json
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Callable

import pytest

from agent.logs import KeyValueFormatter, fields
from edgewright.logging import LineFormatter
from edgewright.terminal import LINE_CHARACTERS
from fleet.logs import JsonFormatter
from support.hostile import HOSTILE, unfit

FORMATTERS: list[Callable[[], logging.Formatter]] = [
    lambda: LineFormatter("%(levelname)s %(name)s %(message)s"),
    KeyValueFormatter,
    JsonFormatter,
]


def fail(words: str) -> None:
    raise ValueError(words)


def record(message: str, *values: object, error: BaseException | None = None) -> logging.LogRecord:
    info = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("amqtt.x", logging.WARNING, __file__, 1, message, values, info)


@pytest.mark.parametrize("make", FORMATTERS)
def test_a_record_is_one_line_whatever_is_in_it(make: Callable[[], logging.Formatter]) -> None:
    line = make().format(record("client %s left: " + HOSTILE, HOSTILE))
    assert not unfit(line, allowed="")


@pytest.mark.parametrize("make", FORMATTERS)
def test_an_error_below_a_record_begins_no_line_of_its_own(
    make: Callable[[], logging.Formatter],
) -> None:
    try:
        fail(f"{HOSTILE}\n2026-01-01 INFO forged")
    except ValueError as error:
        lines = make().format(record("failed", error=error)).split("\n")
    assert not unfit("".join(lines))
    assert all(line.startswith("  ") for line in lines[1:])
    assert any("forged" in line for line in lines)


def test_the_agents_fields_are_bounded_and_come_apart_again() -> None:
    shown = record("run_stored")
    shown.__dict__ |= fields(reason=HOSTILE + "x" * 300_000, name="'")
    line = KeyValueFormatter().format(shown)
    assert not unfit(line, allowed="")
    assert len(line) < 2 * LINE_CHARACTERS
    assert [word for word in shlex.split(line) if word.startswith("name=")] == ["name='"]


def test_json_lines_keep_every_text() -> None:
    assert json.loads(JsonFormatter().format(record("%s", HOSTILE)))["message"] == HOSTILE


@pytest.mark.parametrize(
    "ending",
    [
        "fail()",
        "import threading; threading.Thread(target=fail).start()",
        "import logging; logging.getLogger('paho').warning(text)",
    ],
)
def test_what_nobody_catches_or_handles_is_fit_for_a_terminal(ending: str) -> None:
    code = f"""
import sys, types
text = {HOSTILE!r}
def fail():
    raise ValueError(text)
def main():
    {ending}
sys.modules["program"] = types.SimpleNamespace(main=main)
from contract.launch import launch
launch("program", extra="fleet")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ
    )
    assert "[v2] :skull:" in done.stderr
    assert not unfit(done.stderr)
