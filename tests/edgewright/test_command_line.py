"""What commands print, and how they complain."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from edgewright.command_line import Program, complain, print_json, print_lines, print_text
from edgewright.terminal import LINE_CHARACTERS
from support.hostile import HOSTILE, PLAIN_END, unfit


@click.group(cls=Program)
def program() -> None:
    """Stand for any of ours."""


@program.command()
@click.argument("number", type=int)
@click.argument("file", type=click.File())
@click.option("--kind", type=click.Choice(["a", "b"]), required=True)
def run(number: int, file: object, kind: str) -> None:
    """Take an argument of each sort."""
    print_lines([f"{number} {file} {kind}"])


@pytest.mark.parametrize(
    "words",
    [
        [HOSTILE],
        [f"--{HOSTILE}"],
        ["run", HOSTILE],
        ["run", "1", HOSTILE, "--kind", "a"],
        ["run", "1", __file__, "--kind", HOSTILE],
        ["run", "1", __file__, f"--{HOSTILE}"],
    ],
)
def test_an_argument_that_a_complaint_repeats_is_spelt_out(words: list[str]) -> None:
    done = CliRunner().invoke(program, words)
    assert done.exit_code != 0
    assert PLAIN_END in done.output
    assert not unfit(done.output)
    assert done.output.splitlines()[-1].startswith("Error: ")


def test_choices_and_help_keep_their_lines() -> None:
    missing = CliRunner().invoke(program, ["run", "1", __file__])
    assert missing.exit_code == 2
    assert "\n\ta,\n\tb" in missing.output
    assert "Commands:\n  run" in CliRunner().invoke(program, []).output


def test_a_line_is_a_line_and_a_text_keeps_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines([HOSTILE, "x" * 300_000])
    first, second = capsys.readouterr().out.splitlines()
    assert not unfit(first)
    assert len(second) == LINE_CHARACTERS
    print_text("a\n\tb\x1b\n" + "x" * 300_000 + "\n")
    assert capsys.readouterr().out == "a\n\tb\\x1b\n" + "x" * 300_000 + "\n"


def test_an_error_of_several_lines_begins_one_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    complain("edgewright-fleet", "a\nb\x1b", has_lines=True)
    assert capsys.readouterr().err == "edgewright-fleet: a\n  b\\x1b\n"
    complain("edgewright-fleet", "a\nb")
    assert capsys.readouterr().err == "edgewright-fleet: a\\nb\n"


def test_json_is_one_document_of_the_same_value(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    print_json([HOSTILE])
    said = capsysbinary.readouterr().out
    assert json.loads(said) == [HOSTILE]
    assert not unfit(said.decode())
