"""What commands print on a terminal and into a pipe."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from contract.benchmark import RunStatus
from fleet.store.database import Database
from support.filling import fill
from support.measurements import make_run

STYLE = re.compile(r"\x1b\[[0-9;]*m")
REASON = "killed \x1b[2J\x1b]0;owned\x07 by its limit, which " + "is told at some length " * 12


def on_a_terminal(columns: int, *words: str) -> str:
    """What a command prints on a terminal so wide, without colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    with subprocess.Popen(
        [sys.executable, "-m", "fleet", *words], stdout=theirs, env=kept | {"TERM": "xterm"}
    ) as process:
        os.close(theirs)
        said = b""
        while part := _read(ours):
            said += part
    os.close(ours)
    assert process.returncode == 0
    return STYLE.sub("", said.decode()).replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        # How a terminal ends on Linux.
        return b""


@pytest.fixture
def filled(database: Database, store_url: str) -> str:
    """A store with one device whose run failed with a hostile reason."""
    fill(
        database,
        "a-device-of-a-long-name",
        make_run("resnet50-base"),
        make_run("resnet50-p30-sq8-r160", status=RunStatus.OOM, reason=REASON),
    )
    return store_url


@pytest.mark.parametrize("command", ["devices", "recommendations", "results", "explain"])
def test_names_stay_whole_on_a_narrow_terminal_and_what_is_left_out_is_named(
    command: str, filled: str
) -> None:
    words = ("a-device-of-a-long-name",) if command in ("results", "explain") else ()
    said = on_a_terminal(80, command, *words, "--db", filled)
    assert max(map(len, said.splitlines())) <= 80
    assert "Not shown in 80 columns: " in said
    assert "--json has all" in " ".join(said.split())
    name = "resnet50-base" if words else "lab/a-device-of-a-long-name"
    assert any(line.startswith(name) or f" {name} " in line for line in said.splitlines())


def test_a_wide_terminal_shows_every_column(filled: str) -> None:
    assert "Not shown" not in on_a_terminal(200, "devices", "--db", filled)


@pytest.mark.parametrize("command", ["results", "explain"])
def test_what_a_device_says_cannot_move_the_cursor(command: str, filled: str) -> None:
    said = on_a_terminal(80, command, "a-device-of-a-long-name", "--db", filled)
    assert "\x1b" not in said
    assert "\x07" not in said
    assert r"\x1b[2J" in said


def test_in_a_pipe_a_row_and_a_sentence_are_one_line(filled: str) -> None:
    for command in ("results", "explain"):
        done = subprocess.run(
            [sys.executable, "-m", "fleet", command, "a-device-of-a-long-name", "--db", filled],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        (row,) = [
            line
            for line in done.stdout.splitlines()
            if re.search(r"^( +\d +)?resnet50-p30.* -  ", line)
        ]
        assert "some length is told at some length" in row


@pytest.mark.parametrize("columns", [100, 80, 60, 44])
def test_the_variant_stays_on_every_terminal_and_reasons_go_before_it(
    filled: str, columns: int
) -> None:
    said = on_a_terminal(columns, "recommendations", "--db", filled)
    row = next(line for line in said.splitlines() if "a-device-of-a-long-name" in line)
    assert "resnet50-base" in row
    if columns == 44:
        assert "why" in said.partition("Not shown in 44 columns: ")[2]
