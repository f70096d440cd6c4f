"""The network that all contenders make something of, and the images that they may look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from benchmarks.lib.contender import Floats
from builder.data.dataset import Dataset, open_dataset
from builder.data.images import read_pixels, to_input
from builder.networks.architectures import resolve
from builder.networks.complexity import count_work
from builder.pipeline import BuildRequest
from builder.planning import NetworkPlan, plan_networks
from builder.progress import Silence
from contract.manifest import Preprocessing


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One network in floats, and images of its data set."""

    architecture: str
    plan: NetworkPlan
    network: nn.Module
    rule: Preprocessing
    macs: int
    dataset: Dataset
    #: What activation ranges are taken from, one image an input.
    calibration: tuple[Floats, ...]


def find_subject(request: BuildRequest, *, search_path: Path) -> Subject:
    """Make the network that the builder would make variants of, from the same request.

    Raises:
        UsageError: the request cannot be meant.
    """
    dataset = open_dataset(request.data)
    settings = request.settings
    plan = plan_networks(
        request.architectures,
        weights=request.weights,
        dataset=dataset,
        settings=settings,
        search_path=search_path,
        progress=Silence(),
    )[0]
    network = plan.weights.network(len(plan.classes.labels), settings.seed)
    paths = calibration_paths(dataset, settings.recipe.calibration_images, settings.seed)
    return Subject(
        architecture=resolve(request.architectures[0], search_path=search_path).name,
        plan=plan,
        network=network,
        rule=plan.rule,
        macs=count_work(network, plan.rule.input_size).total_macs,
        dataset=dataset,
        calibration=tuple(read_input(path, plan.rule) for path in paths),
    )


def read_input(path: Path, rule: Preprocessing) -> Floats:
    """Network input float32 [1, 3, H, W] of an image file."""
    inputs: Floats = to_input(read_pixels([path], rule), rule).numpy()
    return inputs


def calibration_paths(dataset: Dataset, wanted: int, seed: int) -> list[Path]:
    """Images of `train/` that the builder, too, calibrates static INT8 with."""
    count = min(len(dataset.train), wanted)
    chosen = np.random.default_rng(seed).choice(len(dataset.train), count, replace=False)
    return [dataset.train[place].path for place in sorted(chosen.tolist())]
