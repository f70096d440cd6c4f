"""Weights for the benchmark where none are given: trained once, by the builder's command."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lib.bundles import BUILDER, words
from builder.errors import BuilderError
from builder.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What to train from scratch, and on what."""

    architecture: str
    data: Path
    input_size: int
    epochs: int
    seed: int


def trained_weights(lesson: Lesson, folder: Path, progress: Progress) -> Path:
    """State dict of the trained network in `folder`, made by `edgewright-builder train`.

    Raises:
        BuilderError: the training failed.
    """
    name = f"{plain(lesson.architecture)}-{lesson.data.name}-{lesson.input_size}px"
    target = folder / f"{name}-{lesson.epochs}-epochs-seed{lesson.seed}.pt"
    if target.exists():
        return target
    activity = f"{lesson.architecture}: training {lesson.epochs} epochs on {lesson.data.name}"
    progress.update(activity, 0, 1)
    options = {
        "--data": lesson.data,
        "--out": target,
        "--weights": "none",
        "--input-size": lesson.input_size,
        "--epochs": lesson.epochs,
        "--seed": lesson.seed,
    }
    trained = subprocess.run(
        [*BUILDER, "train", lesson.architecture, *words(options), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if trained.returncode != 0:
        reason = (trained.stderr.strip().splitlines() or ["no reason given"])[-1]
        message = f"training {lesson.architecture} failed: {reason}"
        raise BuilderError(message)
    return target


def plain(network: str) -> str:
    """Name of a network that may be `package.module:factory`."""
    return network.rpartition(":")[2]
