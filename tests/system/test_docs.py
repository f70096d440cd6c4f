"""What README and guide tell people to type works as it stands there."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.brokers import Mosquitto
from support.commands import run_command
from support.processes import PATIENCE_S, Fleet, Process, program, run

ROOT = Path(__file__).parents[2]
PAGES = [
    "README.md",
    "docs/guide.md",
    "docs/builder.md",
    "docs/agent.md",
    "docs/deploy.md",
    "docs/scale-out.md",
    "docs/broker-access.md",
    "docs/simulate.md",
    "docs/keeping.md",
    "docs/api.md",
]
#: These run until stopped, or need the network or a device online; only their options are checked.
NOT_RUN = re.compile(
    r"serve|agent run|fleet (?:api|ask|conform|deploy|simulate)|"
    r"--weights default|builder train|--weights \S+\.pt"
)


def code_blocks(page: str, language: str) -> list[str]:
    # Blocks of every language, or the end of one would be taken for the start of the next.
    block = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    found = block.findall((ROOT / page).read_text())
    return [content for name, content in found if name == language]


def commands(page: str) -> list[str]:
    """Every command of ours that stands in a code block of a page."""
    lines = [line for block in code_blocks(page, "") for line in block.splitlines()]
    inline = re.findall(r"`(edgewright-\w+ \w[^`]*)`", (ROOT / page).read_text())
    return [line for line in dict.fromkeys(lines + inline) if line.startswith("edgewright-")]


def test_the_pages_hold_commands_of_all_three_programs() -> None:
    found = {command.split()[0] for page in PAGES for command in commands(page)}
    assert found == {"edgewright-builder", "edgewright-agent", "edgewright-fleet"}


def test_every_option_that_the_pages_name_exists() -> None:
    helps: dict[tuple[str, str], str] = {}
    for command in (command for page in PAGES for command in commands(page)):
        words = shlex.split(command)
        key = words[0], words[1]
        if key not in helps:
            group = import_module(f"{words[0].removeprefix('edgewright-')}.cli").cli
            done = CliRunner().invoke(group, [words[1], "--help"])
            assert done.exit_code == 0, command
            helps[key] = done.output
        text = helps[key]
        for option in (word for word in words if word.startswith("--")):
            assert option in text, f"{command}: {option} is not in its help"


@pytest.fixture
def place(
    tmp_path: Path,
    bundles: Path,
    data: Path,
    mosquitto: Mosquitto,
    start_fleet: Callable[..., Fleet],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stand where the pages' file names exist, beside a fleet that knows the guide's device."""
    folder = tmp_path / "place"
    folder.mkdir()
    shutil.copytree(bundles, folder / "bundles")
    shutil.copytree(data, folder / "photos")
    shutil.copy(next(data.rglob("*.png")), folder / "photo.jpg")
    agent_toml, policy = code_blocks("docs/guide.md", "toml")
    (folder / "ours.toml").write_text(policy)
    monkeypatch.setenv("EDGEWRIGHT_AUTHORITY", str(folder / "authority"))
    run("edgewright-fleet", "enroll", "plant-7/press-03", "--out", folder)
    (folder / "agent.toml").write_text(
        re.sub(r"mqtts://[^\"]+", mosquitto.url, agent_toml).replace("[1, 4]", "[1]")
        + "min_seconds = 0.1\nrounds = 1\n"
    )
    fleet = start_fleet(mosquitto.url)
    words = [program("edgewright-agent"), "run", "--config", str(folder / "agent.toml"), "--once"]
    agent = Process(words, folder / "agent.log")
    agent.start()
    assert agent.wait() == 0, agent.log.read_text()
    monkeypatch.setenv("EDGEWRIGHT_DB", fleet.database)
    monkeypatch.setenv("EDGEWRIGHT_BROKER", mosquitto.url)
    monkeypatch.chdir(folder)


@pytest.mark.usefixtures("place")
def test_the_pages_commands_run_as_they_stand_there() -> None:
    ran: set[str] = set()
    # Once each, for several pages name the same.
    for command in dict.fromkeys(command for page in PAGES for command in commands(page)):
        if NOT_RUN.search(command):
            continue
        name, *words = shlex.split(command)
        if not any(one.startswith(name) for one in ran):
            # Once as it was installed.
            done = subprocess.run(
                [program(name), *words],
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
        else:
            done = run_command(name.removeprefix("edgewright-"), *words)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        ran.add(command)
    assert len(ran) >= 8
