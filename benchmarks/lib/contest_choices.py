"""What the person who holds a contest chose, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.lib.bundles import Order
from benchmarks.lib.contest import Rules, hold
from benchmarks.lib.contest_report import Contest
from benchmarks.lib.images import digits, usual_size
from benchmarks.lib.processor import Processor
from benchmarks.lib.rounds import Pace
from benchmarks.lib.training import Lesson, plain, trained_weights
from builder.progress import Progress
from builder.recipe import load_recipe


@dataclass(frozen=True, kw_only=True)
class ContestChoices:
    """Everything that the command line says, and what it found out."""

    network: str
    #: None takes scikit-learn's digits.
    data: Path | None
    #: None trains a network once.
    weights: Path | None
    #: None takes 32 for the digits and 224 for other images.
    input_size: int | None
    #: A name or a file.
    recipe: str
    #: None takes as many as the recipe has variants.
    budget: int | None
    max_top1_drop: float
    pace: Pace
    training_epochs: int
    seed: int
    out: Path
    started_at: str
    processor: Processor
    versions: dict[str, str]
    progress: Progress


def hold_as_chosen(choices: ContestChoices) -> Contest:
    """Make what is missing of images and weights, and hold the contest.

    Raises:
        UsageError: images or recipe cannot be used.
        BuilderError: training, search or grid failed.
        ContractError: a bundle cannot be read.
        OSError: the folder cannot be written.
    """
    variants = load_recipe(choices.recipe).all_variants
    data = choices.data or digits(choices.out / "digits")
    input_size = choices.input_size or usual_size(choices.data)
    lesson = Lesson(
        architecture=choices.network,
        data=data,
        input_size=input_size,
        epochs=choices.training_epochs,
        seed=choices.seed,
    )
    weights = choices.weights or trained_weights(lesson, choices.out / "weights", choices.progress)
    order = Order(
        architecture=choices.network,
        data=data,
        weights=str(weights),
        recipe=choices.recipe,
        input_size=input_size,
        seed=choices.seed,
        out=choices.out / f"{plain(choices.network)}-{Path(choices.recipe).stem}" / "bundles",
    )
    return hold(
        Rules(
            order=order,
            budget=choices.budget or len(variants),
            max_top1_drop=choices.max_top1_drop,
            pace=choices.pace,
            started_at=choices.started_at,
            processor=choices.processor,
            versions=choices.versions,
            progress=choices.progress,
        )
    )
