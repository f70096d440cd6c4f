"""Boxes behind a real sshd on the loopback, and the fleet that they join."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.box import Box, box_packages, logging_ssh
from support.sshd import HOST, Sshd
from support.tiny_bundles import SetMaker

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@pytest.fixture(scope="session")
def sshd_program() -> str:
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None or shutil.which("ssh") is None:
        reason = "sshd is not installed: apt install openssh-server"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return program


@pytest.fixture(scope="module")
def make_box(
    sshd_program: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Box]]:
    """A box; programs in `tools` take the place of those of the system there."""
    made: list[Box] = []

    def make(*options: str, tools: Path | None = None, name: str = HOST) -> Box:
        folder = tmp_path_factory.mktemp("box")
        (folder / "packages").mkdir()
        (folder / "tools").mkdir()
        path = _PATH if tools is None else f"{tools}:{_PATH}"
        environment = {"PYTHONPATH": str(box_packages(folder / "packages")), "PATH": path}
        sshd = Sshd(sshd_program, folder, environment, name=name)
        sshd.start()
        made.append(Box(sshd, logging_ssh(folder / "tools"), list(options)))
        return made[-1]

    yield make
    for box in made:
        box.close()


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of two tiny variants."""
    maker = SetMaker(tmp_path_factory.mktemp("bundles"))
    maker.add("tiny-base")
    maker.add("tiny-b2", top1=0.8)
    return maker.finish()
