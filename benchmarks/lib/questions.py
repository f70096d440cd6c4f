"""From what was chosen to what is measured: images, weights and recipes for each network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.lib.bundles import Order
from benchmarks.lib.choices import Choices, Part
from benchmarks.lib.images import digits, first_of_each_class, usual_size
from benchmarks.lib.section import Question
from benchmarks.lib.training import Lesson, plain, trained_weights

_RECIPES = Path(__file__).resolve().parents[1] / "recipes"
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
    input_size = choices.accuracy_input_size or usual_size(choices.data)
    lesson = Lesson(
        architecture=choices.accuracy_network,
        data=data,
        input_size=input_size,
        epochs=choices.training_epochs,
        seed=choices.seed,
    )
    return _question(
        choices,
        choices.accuracy_network,
        data=data,
        weights=str(
            choices.weights or trained_weights(lesson, choices.out / "weights", choices.progress)
        ),
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
    place = choices.out / f"{part}-{plain(network)}"
    return Question(
        order=Order(
            architecture=network,
            data=data,
            weights=weights,
            recipe=recipe,
            input_size=input_size,
            seed=choices.seed,
            out=place / "bundles",
        ),
        frameworks=choices.against,
        pace=choices.pace,
        with_accuracy=part is Part.ACCURACY,
        scratch=place / "others",
        search_path=Path.cwd(),
        has_int8_dot_products=choices.has_int8_dot_products,
        progress=choices.progress,
    )
