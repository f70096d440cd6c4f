"""The agent's commands over files that bring hostile texts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from agent.cli import cli
from support.hostile import HOSTILE, HOSTILE_NAME, PLAIN_END, unfit
from support.tiny_bundles import SetMaker

QUICK = ("--min-seconds", "0.05", "--min-runs", "3", "--rounds", "1")
CONFIG = 'site = "lab"\ndevice = "box"\nbroker = "mqtt://127.0.0.1:1"\n'


def agent(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = ["edgewright-agent", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def hostile_set(set_maker: Callable[[], SetMaker]) -> Path:
    """A set whose bundles bring hostile texts, one of them damaged."""
    maker = set_maker()
    maker.add("tiny-base", words=HOSTILE)
    maker.add("tiny-odd", words=HOSTILE + "x" * 100_000)
    damaged = maker.add("tiny-damaged")
    maker.finish()
    damaged.write_bytes(b"no bundle")
    return maker.folder


@pytest.mark.parametrize("name", ["bench", "predict", "probe", "run", "serve"])
def test_no_command_repeats_an_argument_as_it_came(name: str) -> None:
    assert name in cli.commands
    done = agent(name, f"--{HOSTILE}")
    assert done.returncode == 2
    assert PLAIN_END in done.stderr
    assert not unfit(done.stdout + done.stderr)


def test_these_are_all_commands() -> None:
    assert set(cli.commands) == {"bench", "predict", "probe", "run", "serve"}


def test_bench_shows_what_a_manifest_says_without_acting_on_it(hostile_set: Path) -> None:
    done = agent("bench", hostile_set, "-v", *QUICK)
    assert "tiny-base" in done.stdout
    # The caption is folded, wherever its words end.
    assert PLAIN_END.replace(" ", "") in "".join(done.stdout.split())
    assert "Traceback" not in done.stderr
    assert not unfit(done.stdout + done.stderr)
    assert len(done.stdout) < 20_000


def test_the_list_of_runs_hides_nothing(hostile_set: Path) -> None:
    done = agent("bench", hostile_set, "--json", *QUICK)
    assert not unfit(done.stdout + done.stderr)
    assert {run["dataset"] for run in json.loads(done.stdout)} >= {f"noise{HOSTILE}"}


def test_predict_shows_labels_and_names_of_files_as_text(hostile_set: Path, tmp_path: Path) -> None:
    image, other = tmp_path / f"{HOSTILE_NAME}.png", tmp_path / f"{HOSTILE_NAME}.jpg"
    Image.new("RGB", (20, 20), (200, 10, 10)).save(image, format="PNG")
    other.write_bytes(b"no image")
    for options in ((), ("--json",)):
        done = agent("predict", image, other, "--bundles", hostile_set, *options)
        assert done.returncode == 0
        assert PLAIN_END.replace("/", "_") in done.stderr
        assert not unfit(done.stdout + done.stderr)
        assert len(done.stdout) < 20_000 or options
    assert {one["image"] for one in json.loads(done.stdout)} == {str(image), str(other)}


def test_probe_shows_what_a_box_says_of_itself_as_text(tmp_path: Path) -> None:
    line = HOSTILE.replace("\n", "").replace("\r", "")
    for name, content in {
        "proc/cpuinfo": f"processor : 0\nmodel name : {line}\nflags : {line}\n",
        "etc/os-release": f'PRETTY_NAME="{line}"\n',
        "proc/sys/kernel/osrelease": line,
        "proc/device-tree/model": line,
        "sys/class/thermal/thermal_zone0/type": line,
        "sys/class/thermal/thermal_zone0/temp": "61835\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    for options in ((), ("--json",)):
        done = agent("probe", "--root", tmp_path, *options)
        assert done.returncode == 0
        assert PLAIN_END in done.stdout
        assert not unfit(done.stdout + done.stderr)


@pytest.mark.parametrize("command", ["run", "serve"])
@pytest.mark.parametrize(
    "more",
    [
        f"bundles = {json.dumps(HOSTILE)}\nstate_dir = 'state'\nthreads = 'x'",
        f"bundles = {json.dumps(HOSTILE)}\nstate_dir = 'state'",
        f"bundles = 'b'\nstate_dir = 'state'\nlog_level = {json.dumps(HOSTILE)}",
        f"bundles = 'b'\nstate_dir = 'state'\n{json.dumps(HOSTILE)} = 1",
    ],
)
def test_a_configuration_is_named_as_text(command: str, more: str, tmp_path: Path) -> None:
    # A name need not be UTF-8.
    config = tmp_path / f"{HOSTILE_NAME}\udcff.toml"
    config.write_text(CONFIG + more)
    options = ("--once",) if command == "run" else ()
    done = agent(command, "--config", config, *options)
    assert done.returncode in (1, 2)
    assert done.stderr
    assert not unfit(done.stdout + done.stderr)
