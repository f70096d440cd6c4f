"""Many boxes in one command: three real sshd, and a host that is not there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.box import PYTHON, Box, Done
from support.collectors import ServeProcess
from support.commands import run_command
from support.processes import program, wait_until

PATIENCE_S = 280


@dataclass
class Plant:
    """A fleet, its boxes, and the file that names them."""

    boxes: Sequence[Box]
    serve: ServeProcess
    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "authority"

    def write(self, bundles: Path, *, more: str = "", **of_first: str) -> Path:
        """The file with all boxes; keys in TOML for the first of them."""
        own = "".join(f"{key} = {value}\n" for key, value in of_first.items())
        tables = [
            f'[[hosts]]\nhost = "{box.sshd.target}"\nssh_config = "{box.sshd.client_config}"\n'
            f'device = "{box.sshd.name}"\n{own if number == 0 else ""}'
            for number, box in enumerate(self.boxes)
        ]
        path = self.folder / "hosts.toml"
        path.write_text(
            f'[defaults]\nsite = "plant-7"\nuser = true\nsystem_site_packages = true\n'
            f'python = "{PYTHON}"\nbundles = "{bundles}"\nbroker = "{self.serve.url}"\n'
            f"set = {{ min_seconds = 0.05, rounds = 1 }}\n{more}" + "".join(tables)
        )
        return path

    def words(self, path: Path, *options: str) -> list[str]:
        return ["deploy", "--hosts", str(path), "--authority", str(self.authority), *options]

    def deploy(self, path: Path, *options: str) -> Done:
        done = run_command("fleet", *self.words(path, *options), timeout_s=PATIENCE_S)
        return Done(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="module")
def plant(
    make_box: Callable[..., Box], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plant]:
    folder = tmp_path_factory.mktemp("plant")
    where = ["--authority", str(folder / "authority"), "--db", f"sqlite:///{folder / 'fleet.db'}"]
    serve = ServeProcess(["--listen", "mqtts://127.0.0.1:0", *where], folder / "serve.log")
    boxes = [make_box(name=f"press-{number}") for number in range(3)]
    yield Plant(boxes, serve, folder)
    serve.close()


def statuses(done: Done) -> dict[str, str]:
    return {one["host"].partition("@")[2]: one["status"] for one in rows(done)}


def rows(done: Done) -> list[dict[str, Any]]:
    found = json.loads(done.output)
    assert isinstance(found, list)
    return found


def test_a_box_that_fails_stops_no_other(plant: Plant, bundles: Path) -> None:
    absent = '[[hosts]]\nhost = "nobody@127.0.0.1"\ndevice = "absent"\nssh_config = "nowhere"\n'
    (plant.folder / "nowhere").write_text("Host *\n  Port 1\n")
    path = plant.write(bundles, more=absent, groups='["cold-hall"]')
    done = plant.deploy(path, "--json", "--parallel", "2")
    assert done.code == 1
    assert statuses(done) == {
        "127.0.0.1": "failed",
        "press-0": "deployed",
        "press-1": "deployed",
        "press-2": "deployed",
    }
    failed, first, *_ = rows(done)
    assert "does sshd run there" in failed["detail"]
    assert (first["site"], first["device"]) == ("plant-7", "press-0")
    assert first["release"] == plant.boxes[0].release
    assert all(box.is_alive() for box in plant.boxes)
    toml = [(box.base / "etc/agent.toml").read_text() for box in plant.boxes]
    assert ['groups = ["cold-hall"]' in one for one in toml] == [True, False, False]
    passwords = {(box.base / "etc/password").read_text() for box in plant.boxes}
    assert len(passwords) == 3
    assert not any(one.strip() in done.errors + done.output for one in passwords)


def test_why_a_box_failed_is_said_once(plant: Plant) -> None:
    (plant.folder / "nowhere").write_text("Host *\n  Port 1\n")
    path = plant.folder / "absent.toml"
    path.write_text('[[hosts]]\nhost = "nobody@127.0.0.1"\nssh_config = "nowhere"\n')
    done = plant.deploy(path)
    assert done.code == 1
    assert (done.output + done.errors).count("does sshd run there") == 1
    (said,) = [line for line in done.errors.splitlines() if ": failed: " in line]
    assert said.startswith("nobody@127.0.0.1: failed: ssh: connect to host")
    assert "1 boxes: 1 failed." in done.output


def test_a_second_run_does_only_what_is_missing(plant: Plant, bundles: Path) -> None:
    pids = [box.pid for box in plant.boxes]
    os.kill(pids[1], signal.SIGKILL)
    path = plant.write(bundles, groups='["cold-hall"]')
    done = plant.deploy(path, "--json")
    assert done.code == 0, done.errors
    assert statuses(done) == {"press-0": "unchanged", "press-1": "deployed", "press-2": "unchanged"}
    assert [box.pid for box in plant.boxes][::2] == pids[::2]
    assert plant.boxes[1].is_alive()


def test_the_table_has_a_row_for_each_box_and_a_sum(plant: Plant, bundles: Path) -> None:
    done = plant.deploy(plant.write(bundles, groups='["cold-hall"]'))
    assert done.code == 0, done.errors
    for box in plant.boxes:
        assert f"plant-7/{box.sshd.name}" in done.output
        assert f"{box.sshd.target}: working: [1/" in done.errors
        assert f"{box.sshd.target}: unchanged: {box.release}" in done.errors
    assert "3 boxes: 3 unchanged." in done.output


def test_two_boxes_never_get_one_name(plant: Plant, bundles: Path) -> None:
    """Both are named by their host's name, for the file names neither."""
    text = plant.write(bundles).read_text()
    for box in plant.boxes:
        # A second install on the same box, which has no name yet.
        other = f'prefix = "{plant.folder}/prefix"\n'
        text = text.replace(f'device = "{box.sshd.name}"\n', other)
    path = plant.folder / "unnamed.toml"
    path.write_text(text)
    done = plant.deploy(path, "--json", "--dry-run")
    assert done.code == 1
    assert sorted(statuses(done).values()) == ["failed", "failed", "planned"]
    failed = [one for one in rows(done) if one["status"] == "failed"]
    (planned,) = [one for one in rows(done) if one["status"] == "planned"]
    assert planned["release"]
    assert planned["broker"]
    assert all("goes by that name already" in one["detail"] for one in failed)
    assert not (plant.folder / "prefix").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_ended_says_how_it_stands_with_each_box(
    plant: Plant, bundles: Path, tmp_path: Path, number: signal.Signals
) -> None:
    waiting = tmp_path / "python"
    waiting.write_text(
        f'#!/bin/sh\ncase "$*" in *"-m venv"*) touch {tmp_path}/begun; sleep 600;; esac\n'
        f'exec {PYTHON} "$@"\n'
    )
    waiting.chmod(0o755)
    text = plant.write(bundles, groups='["cold-hall"]').read_text()
    path = plant.folder / "ended.toml"
    # Another Python makes another release.
    path.write_text(text.replace(f'python = "{PYTHON}"', f'python = "{waiting}"'))
    words = [program("edgewright-fleet"), *plant.words(path, "--json", "--parallel", "1")]
    before = [(box.pid, box.release) for box in plant.boxes]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until("the first one installs", (tmp_path / "begun").exists)
    process.send_signal(number)
    output, errors = process.communicate(timeout=PATIENCE_S)
    done = Done(process.returncode, output, errors)
    assert done.code == 1
    assert statuses(done) == {
        "press-0": "interrupted",
        "press-1": "not-begun",
        "press-2": "not-begun",
    }
    assert "install release" in rows(done)[0]["detail"]
    assert "runs on, untouched" in rows(done)[0]["detail"]
    assert [(box.pid, box.release) for box in plant.boxes] == before
    assert [len(list((box.base / "releases").iterdir())) for box in plant.boxes] == [1, 1, 1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["root@box"], "USER@HOST or --hosts FILE, not both"),
        (["--device", "d"], "--device is of one box"),
        (["--purge"], "--purge goes with --remove"),
        (["--parallel", "0"], "--parallel"),
        (["--site", "X Y"], "site 'X Y'"),
        (["--torch-index", "x"], "--torch-index 'x': expected a URL"),
        (["--remove", "--bundles", "/usr"], "--bundles: a removal has no use for it"),
    ],
)
def test_what_makes_no_sense_beside_a_file_is_wrong_use(
    plant: Plant, bundles: Path, options: list[str], said: str
) -> None:
    done = plant.deploy(plant.write(bundles), *options)
    assert done.code == 2
    assert said in done.errors
    assert "working" not in done.errors


def test_a_mistake_in_the_file_is_wrong_use_before_any_box_is_asked(
    plant: Plant, bundles: Path
) -> None:
    done = plant.deploy(plant.write(bundles, devcie='"x"'))
    assert done.code == 2
    assert "hosts[0].devcie: unknown key; did you mean 'device'?" in done.errors
    assert "working" not in done.errors


def test_agents_are_taken_off_many_boxes(plant: Plant, bundles: Path) -> None:
    path = plant.write(bundles)
    done = plant.deploy(path, "--remove", "--purge", "--json")
    assert done.code == 0, done.errors
    assert set(statuses(done).values()) == {"removed"}
    assert not any(box.base.exists() for box in plant.boxes)
    again = plant.deploy(path, "--remove", "--purge", "--json")
    assert again.code == 0, again.errors
    assert set(statuses(again).values()) == {"absent"}
