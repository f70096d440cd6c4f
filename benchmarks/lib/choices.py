"""What the person who runs the benchmark chose."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lib.contender import Framework
from benchmarks.lib.rounds import Pace
from builder.progress import Progress


class Part(enum.StrEnum):
    """The two halves of the benchmark."""

    SPEED = "speed"
    ACCURACY = "accuracy"


@dataclass(frozen=True, kw_only=True)
class Choices:
    """Everything that the command line says, and what it found out."""

    parts: tuple[Part, ...]
    #: Of the speed part.
    networks: tuple[str, ...]
    input_size: int
    #: None takes scikit-learn's digits.
    data: Path | None
    #: None trains a network once.
    weights: Path | None
    accuracy_network: str
    #: None takes 32 for the digits and 224 for other images.
    accuracy_input_size: int | None
    #: A name or a file; None takes the benchmark's own.
    recipe: str | None
    against: tuple[Framework, ...]
    pace: Pace
    training_epochs: int
    seed: int
    out: Path
    has_int8_dot_products: bool
    progress: Progress
