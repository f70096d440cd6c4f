"""Consoles and tables that show strangers' text as text."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from rich.progress import Progress

from edgewright.console import Console, Table, TextColumn, styled
from edgewright.terminal import CELL_CHARACTERS
from support.hostile import HOSTILE, PLAIN_END, unfit


def table() -> Table:
    made = Table("two\nlines", title=HOSTILE, caption=HOSTILE)
    made.add_column("status")
    made.add_row(HOSTILE, styled("good", "green"))
    made.add_row("x" * 300_000, styled(HOSTILE, "red"))
    return made


def test_a_table_shows_markup_as_text_and_bounds_every_cell(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Console(pipe_columns=100_000).print(table())
    said = capsys.readouterr().out
    assert not unfit(said)
    assert said.count(PLAIN_END) == 4
    assert "x" * (CELL_CHARACTERS - 1) + "…" in said
    assert "x" * CELL_CHARACTERS not in said
    assert "lines" in said.splitlines()[3]


def test_a_line_of_a_console_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    Console(pipe_columns=100_000).print(HOSTILE)
    said = capsys.readouterr().out
    assert said.count("\n") == 1
    assert PLAIN_END in said
    assert not unfit(said)


def test_a_tasks_name_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress(
        TextColumn("{task.description}"), console=Console(stderr=True, pipe_columns=500)
    ) as bar:
        bar.add_task(HOSTILE)
    said = capsys.readouterr().err
    assert PLAIN_END in said
    assert not unfit(said)


def test_a_row_keeps_its_height_whatever_its_cells_say() -> None:
    code = (
        "from edgewright.console import Console, Table\n"
        "made = Table(box=None, show_header=False)\n"
        "made.add_row('a\\nfaked', 'b\\u2028faked')\n"
        "Console(pipe_columns=200).print(made)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.rstrip().count("\n") == 0
