"""A bundle set that is built once, and collector and agent processes around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.processes import Fleet, Process, program, run

#: Three variants keep the sweep short; their kinds differ: floats, dynamic and static integers.
RECIPE = """
name = "three"
[[variants]]
name = "base"
[[variants]]
name = "dq8"
quantize = "dynamic-int8"
[[variants]]
name = "sq8"
quantize = "static-int8"
"""


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen coloured squares in two classes, as an ImageFolder."""
    folder = tmp_path_factory.mktemp("data")
    noise = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 2)):
        for label, channel in (("green", 1), ("red", 0)):
            place = folder / split / label
            place.mkdir(parents=True)
            for number in range(count):
                pixels = noise.integers(0, 80, (32, 32, 3), dtype=np.uint8)
                pixels[..., channel] += 120
                Image.fromarray(pixels).save(place / f"{number}.png")
    return folder


@pytest.fixture(scope="session")
def bundles(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of three variants of ResNet-18, built by the real builder."""
    folder = tmp_path_factory.mktemp("bundles")
    recipe = folder.with_suffix(".toml")
    recipe.write_text(RECIPE)
    run(
        "edgewright-builder", "build", "resnet18", "--data", data, "--out", folder,
        "--weights", "none", "--input-size", 32, "--recipe", recipe, "--no-report",
    )  # fmt: skip
    return folder


@pytest.fixture
def start_fleet(tmp_path: Path) -> Iterator[Callable[..., Fleet]]:
    started: list[Fleet] = []

    def start(broker_url: str, *more: str, embedded: bool = False) -> Fleet:
        fleet = Fleet(tmp_path, broker_url, embedded, more)
        fleet.start()
        started.append(fleet)
        return fleet

    yield start
    for fleet in started:
        fleet.process.stop()


@pytest.fixture
def make_agent(tmp_path: Path, bundles: Path) -> Iterator[Callable[..., Process]]:
    """An agent process with a configuration and a state folder of its own, not started."""
    made: list[Process] = []

    def make(broker_url: str, *options: str, device: str = "box", more: str = "") -> Process:
        folder = tmp_path / device
        folder.mkdir(exist_ok=True)
        config = folder / "agent.toml"
        config.write_text(
            f'site = "lab"\ndevice = "{device}"\nbroker = "{broker_url}"\n'
            f'bundles = "{bundles}"\nstate_dir = "{folder / "state"}"\n'
            f"threads = [1]\nrounds = 1\nmin_seconds = 0.1\n{more}",
        )
        agent = Process(
            [program("edgewright-agent"), "run", "--config", str(config), *options],
            folder / "agent.log",
        )
        made.append(agent)
        return agent

    yield make
    for agent in made:
        if agent.popen is not None and agent.popen.poll() is None:
            agent.kill()
