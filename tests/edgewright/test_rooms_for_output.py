"""Nothing but the rooms for it prints, so that no text goes to a terminal as it came."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2]
PACKAGES = ("agent", "builder", "contract", "edgewright", "fleet")
ROOMS = {"edgewright/command_line.py", "edgewright/console.py", "edgewright/tracebacks.py"}
#: Where bytes go that are no text for a person, or words that are all our own.
OTHERS = {
    "agent/serve_command.py": {"sys.stdout"},  # reports to the agent that started it
    "agent/worker.py": {"sys.stdout"},  # events to the supervisor
    "builder/measuring/timing_worker.py": {"sys.stdout"},  # answers to the process that asks
    "contract/launch.py": {"sys.stdout", "sys.stderr"},  # which extra is missing
    "fleet/commands/export.py": {"sys.stdout"},  # made by fleet/exporting/form.py
    "fleet/commands/quarantine.py": {"sys.stdout"},  # --raw, never to a terminal
    "fleet/deploy/remote_runner.py": {"sys.stdout", "sys.stderr"},  # on a box, to who deploys
    "fleet/mqtt/link_process.py": {"sys.stdout"},  # frames to the collector
}
PRINTING = {
    "print", "click.echo", "click.echo_via_pager", "click.secho", "click.progressbar",
    "logging.Formatter", "rich.print", "rich.console.Console", "rich.table.Table",
    "rich.text.Text", "rich.progress.TextColumn", "rich.markup.escape",
    "rich.markup.render",
}  # fmt: skip
#: May be asked whether it is a terminal, and handed to a log's handler.
HARMLESS = {"isatty", "fileno"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for path in (PROGRAM / package).rglob("*.py"):
            yield path.relative_to(PROGRAM).as_posix(), ast.parse(path.read_text())


def uses(tree: ast.Module) -> set[str]:
    """Full names of what prints, as far as this source calls it."""
    known = {"print": "print"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {one.asname or one.name: one.name for one in node.names}
        elif isinstance(node, ast.ImportFrom):
            known |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            words = ast.unparse(node.func).split(".")
            name = ".".join([known.get(words[0], words[0]), *words[1:]])
            found |= {one for one in PRINTING if name == one or name.startswith(f"{one}.")}
            found |= {
                stream
                for stream in ("sys.stdout", "sys.stderr")
                if name.startswith(f"{stream}.") and name.split(".")[2] not in HARMLESS
            }
            found |= {
                ast.unparse(one)
                for one in node.args
                if ast.unparse(one) in ("sys.stdout.buffer", "sys.stderr.buffer")
            }
    return {one.removesuffix(".buffer") for one in found}


def test_no_other_source_prints() -> None:
    found = {
        name: used - OTHERS.get(name, set())
        for name, tree in sources()
        if name not in ROOMS and (used := uses(tree))
    }
    assert {name: used for name, used in found.items() if used} == {}


@pytest.mark.parametrize(
    ("source", "used"),
    [
        ("import click\nclick.echo(1)", {"click.echo"}),
        ("from click import echo as say\nsay(1)", {"click.echo"}),
        ("print(1)", {"print"}),
        ("import sys\nsys.stderr.write('')", {"sys.stderr"}),
        ("import sys\nwrite(sys.stdout.buffer)", {"sys.stdout"}),
        ("from rich.text import Text\nText.from_markup('')", {"rich.text.Text"}),
        ("from rich.table import Table\ndef f(t: Table): pass", set()),
        ("import sys\nsys.stdout.isatty()", set()),
    ],
)
def test_what_prints_is_found(source: str, used: set[str]) -> None:
    assert uses(ast.parse(source)) == used
