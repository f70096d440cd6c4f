"""From what was chosen to what is measured: images, weights and recipes for each network."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.lib.choices import Choices, Part
from benchmarks.lib.images import digits, first_of_each_class
from benchmarks.lib.section import Question
from builder.errors import BuilderError
from builder.pipeline import BuildRequest
from builder.planning import Settings
from builder.quantization.engine import host_engine
from builder.recipe import load_recipe

_RECIPES = Path(__file__).resolve().parents[1] / "recipes"
_DIGITS_SIZE = 32
_USUAL_SIZE = 224
#: Of each class: enough to build with, so that VGG-19 does not spend its minutes on accuracy.
_SPEED_IMAGES = 2


def questions(choices: Choices) -> Iterator[Question]:
    """What to measure, network by network; images and weights are made as they are needed.

    Raises:
        UsageError: the images or the recipe cannot be used.
        BuilderError: the training failed.
        OSError: the folder cannot be written.
    """
    data = choices.data or digits(choices.out / "digits")
    if Part.SPEED in choices.parts:
        few = first_of_each_class(data, choices.out / "few-images", _SPEED_IMAGES)
        for network in choices.networks:
            yield _speed(choices, network, few)
    if Part.ACCURACY in choices.parts:
        yield _accuracy(choices, data)


def _speed(choices: Choices, network: str, data: Path) -> Question:
    return _question(
        choices,
        network,
        data=data,
        weights="none",
        recipe=str(_RECIPES / "speed.toml"),
        input_size=choices.input_size,
        part=Part.SPEED,
    )


def _accuracy(choices: Choices, data: Path) -> Question:
    usual = _DIGITS_SIZE if choices.data is None else _USUAL_SIZE
    input_size = choices.accuracy_input_size or usual
    weights = choices.weights
    if weights is None:
        weights = (
            choices.out
            / "weights"
            / (
                f"{choices.accuracy_network}-{data.name}-{input_size}px-"
                f"{choices.training_epochs}-epochs-seed{choices.seed}.pt"
            )
        )
        _train(choices, data, weights, input_size)
    return _question(
        choices,
        choices.accuracy_network,
        data=data,
        weights=str(weights),
        recipe=choices.recipe or str(_RECIPES / "accuracy.toml"),
        input_size=input_size,
        part=Part.ACCURACY,
    )


def _question(
    choices: Choices,
    network: str,
    *,
    data: Path,
    weights: str,
    recipe: str,
    input_size: int,
    part: Part,
) -> Question:
    place = choices.out / f"{part}-{network.rpartition(':')[2]}"
    settings = Settings(
        recipe=load_recipe(recipe),
        input_size=input_size,
        finetune_epochs=None,
        seed=choices.seed,
        engine=host_engine(),
    )
    return Question(
        request=BuildRequest(
            architectures=(network,),
            data=data,
            out=place / "bundles",
            weights=weights,
            settings=settings,
        ),
        frameworks=choices.against,
        pace=choices.pace,
        with_accuracy=part is Part.ACCURACY,
        scratch=place / "others",
        search_path=Path.cwd(),
        has_int8_dot_products=choices.has_int8_dot_products,
        progress=choices.progress,
    )


def _train(choices: Choices, data: Path, weights: Path, input_size: int) -> None:
    """Train as a user would, by the builder's own command, unless that was done before."""
    if weights.exists():
        return
    network, epochs = choices.accuracy_network, choices.training_epochs
    choices.progress.update(f"{network}: training {epochs} epochs on {data.name}", 0, 1)
    arguments = {
        "--data": data,
        "--out": weights,
        "--weights": "none",
        "--input-size": input_size,
        "--epochs": epochs,
        "--seed": choices.seed,
    }
    options = [str(word) for pair in arguments.items() for word in pair]
    trained = subprocess.run(
        [sys.executable, "-m", "builder", "train", network, *options, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if trained.returncode != 0:
        reason = trained.stderr.strip().splitlines()[-1:] or ["no reason given"]
        message = f"training {network} failed: {reason[0]}"
        raise BuilderError(message)
