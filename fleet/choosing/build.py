"""What is the same for every run of one build of a variant, wherever it runs."""

from __future__ import annotations

import msgspec

from contract.benchmark import BenchRun


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """What the builder measured of a variant, as a run tells of it."""

    variant: str
    sha256: str
    architecture: str
    scheme: str
    input_size: int
    baseline: str
    bytes: int
    macs: int
    top1: float
    top3: float
    top1_drop: float | None = None
    accuracy_images: int


def build_of(run: BenchRun) -> Build:
    """Build that a run is of."""
    return Build(
        variant=run.variant,
        sha256=run.sha256,
        architecture=run.architecture,
        scheme=run.scheme,
        input_size=run.input_size,
        baseline=run.baseline,
        bytes=run.bytes,
        macs=run.macs,
        top1=run.top1,
        top3=run.top3,
        top1_drop=run.top1_drop,
        accuracy_images=run.accuracy_images,
    )
