"""What a run of the benchmark found, as one document."""

from __future__ import annotations

import msgspec

from benchmarks.lib.processor import Processor
from benchmarks.lib.rounds import Latency, Ratio
from contract.interval import Interval


class TopOne(msgspec.Struct, frozen=True, kw_only=True):
    """Share of images whose highest output is right, with 95 % intervals."""

    top1: float
    #: Wilson's.
    interval: Interval
    images: int
    #: This contender's top-1 less the base's, on the same images; None for the base.
    gap_to_base: float | None
    #: Tango's, for pairs.
    gap_interval: Interval | None
    #: Share of images for which it answers as the base does, right or wrong.
    agreement_with_base: float


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """One contender; intervals at 95 %."""

    contender: str
    framework: str
    scheme: str
    input_size: int
    macs: int
    bytes: int
    #: None where it was found finished and nobody had stopped the time.
    build_s: float | None
    latency: Latency
    #: Largest difference of a logit from the network's own in torch FP32, as a share of the
    #: range of these; None where the contender is another network, or takes other inputs.
    logit_error: float | None
    accuracy: TopOne | None
    #: By round.
    samples_ms: list[list[float]]


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One network on one data set: figures of all contenders, timed in one process."""

    network: str
    input_size: int
    data: str
    weights: str
    calibration_images: int
    #: Share (0..1) of the core's time that went to other processes during the timing.
    foreign_share: float | None
    #: What could not be made, and why.
    missed: list[str]
    contenders: list[Figures]
    ratios: list[Ratio]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the benchmark."""

    started_at: str
    processor: Processor
    versions: dict[str, str]
    #: Frameworks that did not take part, and why.
    left_out: dict[str, str]
    sections: list[Section]
