"""The network that all contenders are made of, and the images that they may look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from benchmarks.lib.bundles import Built, Order
from benchmarks.lib.contender import Floats
from builder.data.classes import Classes, match_classes
from builder.data.dataset import Dataset, open_dataset
from builder.data.images import read_pixels, to_input
from builder.networks.architectures import resolve
from builder.networks.weights import find_weights
from builder.progress import Progress
from contract.manifest import Preprocessing


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One network in floats, and images of its data set."""

    architecture: str
    #: In words.
    weights: str
    network: nn.Module
    rule: Preprocessing
    macs: int
    dataset: Dataset
    classes: Classes
    #: What activation ranges are taken from, one image an input.
    calibration: tuple[Floats, ...]


def find_subject(order: Order, built: Built, *, search_path: Path, progress: Progress) -> Subject:
    """Make the network that the bundles were built from, in torch.

    Calibration takes as many images of `train/` as the bundles' did, drawn from the same
    seed.

    Raises:
        UsageError: architecture, weights or images cannot be used.
    """
    base = built.base.manifest
    dataset = open_dataset(order.data).without_bad_images(progress)
    architecture = resolve(order.architecture, search_path=search_path)
    weights = find_weights(order.weights, architecture, progress)
    wanted = max(bundle.manifest.quantization.calibration_images for bundle in built.bundles)
    paths = _draw(dataset, wanted or len(dataset.train), order.seed)
    return Subject(
        architecture=architecture.name,
        weights=base.provenance.weights,
        network=weights.network(base.classes, order.seed),
        rule=base.preprocessing,
        macs=base.macs,
        dataset=dataset,
        classes=match_classes(
            dataset.folders, base.classes, is_imagenet=weights.published is not None
        ),
        calibration=tuple(read_input(path, base.preprocessing) for path in paths),
    )


def read_input(path: Path, rule: Preprocessing) -> Floats:
    """Network input float32 [1, 3, H, W] of an image file."""
    inputs: Floats = to_input(read_pixels([path], rule), rule).numpy()
    return inputs


def _draw(dataset: Dataset, count: int, seed: int) -> list[Path]:
    noise = np.random.default_rng(seed)
    chosen = noise.choice(len(dataset.train), min(count, len(dataset.train)), replace=False)
    return [dataset.train[place].path for place in sorted(chosen.tolist())]
