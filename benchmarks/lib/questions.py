"""From what was chosen to what is measured: images, weights and recipes for each network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.lib.bundles import Order, train_network
from benchmarks.lib.choices import Choices, Part
from benchmarks.lib.images import digits, first_of_each_class
from benchmarks.lib.section import Question

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
    question = _question(
        choices,
        choices.accuracy_network,
        data=data,
        weights=str(choices.weights or _weights_file(choices, data, input_size)),
        recipe=choices.recipe or str(_RECIPES / "accuracy.toml"),
        input_size=input_size,
        part=Part.ACCURACY,
    )
    trained = Path(question.order.weights)
    if choices.weights is None and not trained.exists():
        epochs = choices.training_epochs
        activity = f"{choices.accuracy_network}: training {epochs} epochs on {data.name}"
        choices.progress.update(activity, 0, 1)
        train_network(question.order, epochs=epochs, target=trained)
    return question


def _weights_file(choices: Choices, data: Path, input_size: int) -> Path:
    network = _plain(choices.accuracy_network)
    name = f"{network}-{data.name}-{input_size}px-{choices.training_epochs}-epochs"
    return choices.out / "weights" / f"{name}-seed{choices.seed}.pt"


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
    place = choices.out / f"{part}-{_plain(network)}"
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


def _plain(network: str) -> str:
    """Name of a network that may be `package.module:factory`."""
    return network.rpartition(":")[2]
