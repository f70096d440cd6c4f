"""What a contest of a search with a grid found, as one document."""

from __future__ import annotations

import msgspec

from benchmarks.lib.processor import Processor
from benchmarks.lib.rounds import Latency, Ratio
from benchmarks.lib.standing import Standing, Verdict


class Entrant(msgspec.Struct, frozen=True, kw_only=True):
    """One variant of the grid, of the search, or of both."""

    variant: str
    in_grid: bool
    in_search: bool
    #: Of the search's variants alone, by the times below.
    is_on_front: bool
    #: Variants of the grid, itself not counted, that are no faster and no more accurate.
    dominated: list[str]
    macs: int
    bytes: int
    top1: float
    latency: Latency
    #: By round.
    samples_ms: list[list[float]]


class Winners(msgspec.Struct, frozen=True, kw_only=True):
    """The fastest within the accuracy bar."""

    max_top1_drop: float
    #: By the times of this benchmark.
    of_grid: str
    #: As the search told, by its own timings.
    of_search: str
    #: How many times faster the search's is; None where both are the same variant.
    speed: Ratio | None


class Contest(msgspec.Struct, frozen=True, kw_only=True):
    """One network: a search, and a plain grid of the same budget."""

    started_at: str
    processor: Processor
    versions: dict[str, str]
    network: str
    input_size: int
    data: str
    images: int
    weights: str
    recipe: str
    seed: int
    budget: int
    #: Trials that the search made; fewer than the budget where nothing more was worth one.
    tried: int
    search_s: float
    #: Share (0..1) of the core's time that went to other processes during the timing.
    foreign_share: float | None
    #: What could not be made, and why.
    missed: list[str]
    entrants: list[Entrant]
    verdicts: list[Verdict]
    counts: dict[Standing, int]
    winners: Winners
    #: Area between a front and the grid's slowest time (as a logarithm) and lowest top-1; 1
    #: would be one factor of e in time at one unit of top-1.
    grid_area: float
    search_area: float
