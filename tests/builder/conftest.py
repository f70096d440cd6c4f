"""Small image folders and small networks that the builder's tests share."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import nn

from builder.networks.architectures import Architecture, resolve
from builder.outcome import Outcome
from builder.pipeline import build_set
from builder.progress import Silence
from builder.quantization.engine import host_engine
from builder.recipe import load_recipe
from builder.request import BuildRequest, Settings
from contract.manifest import Preprocessing
from support.commands import run_command

NETWORKS = Path(__file__).with_name("own")
SIZE = 16
#: Class folders and the colour channel that is bright in their images.
CLASSES = {"blue": 2, "green": 1, "red": 0}


def write_image(path: Path, channel: int, noise: np.random.Generator, size: int = SIZE) -> None:
    pixels = noise.integers(0, 90, (size, size, 3), dtype=np.uint8)
    pixels[..., channel] += 120
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three colours as an ImageFolder: 12 images a class to train on, 4 to evaluate with."""
    root = tmp_path_factory.mktemp("colours")
    noise = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4)):
        for label, channel in CLASSES.items():
            for number in range(count):
                write_image(root / split / label / f"{number}.png", channel, noise)
    return root


@pytest.fixture(scope="session")
def flat_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight images in one flat folder, without labels."""
    root = tmp_path_factory.mktemp("flat")
    noise = np.random.default_rng(1)
    for number in range(8):
        write_image(root / f"{number}.png", number % 3, noise)
    return root


@pytest.fixture(scope="session")
def rule() -> Preprocessing:
    return Preprocessing(
        input_size=SIZE, resize_size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)
    )


@pytest.fixture(scope="session")
def tiny() -> Callable[[str], Architecture]:
    """A network of `tiny_networks` by its name."""

    def find(name: str) -> Architecture:
        return resolve(f"tiny_networks:{name}", search_path=NETWORKS)

    return find


@pytest.fixture(scope="session")
def make_tiny(tiny: Callable[[str], Architecture]) -> Callable[..., nn.Module]:
    """A network of `tiny_networks`, made with given classes."""

    def make(name: str, classes: int = 3) -> nn.Module:
        return tiny(name).create(classes)

    return make


@pytest.fixture(scope="session")
def build(data: Path) -> Callable[..., list[Outcome]]:
    """Run a build of `tiny_networks` in this process and return how its variants ended."""

    def run(
        *names: str,
        out: Path,
        root: Path = data,
        recipe: str = "edgewright",
        weights: str = "none",
        finetune_epochs: int | None = None,
        seed: int = 0,
        evalset: int | None = None,
    ) -> list[Outcome]:
        specs = tuple(f"tiny_networks:{name}" for name in names)
        request = BuildRequest(
            architectures=specs,
            data=root,
            out=out,
            weights=dict.fromkeys(specs, weights),
            settings=Settings(
                recipe=load_recipe(recipe),
                input_size=SIZE,
                finetune_epochs=finetune_epochs,
                seed=seed,
                engines=(host_engine(),),
            ),
            evalset=evalset,
        )
        return list(
            build_set(
                request,
                search_path=NETWORKS,
                now=lambda: datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
                progress=Silence(),
            )
        )

    return run


@pytest.fixture(scope="session")
def command() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `edgewright-builder` as a process, from the folder of `tiny_networks`."""
    return functools.partial(run_command, "builder", folder=NETWORKS, timeout_s=240)
