"""A search by the builder's own command, as a user runs it, and what it tried."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

import msgspec

from benchmarks.lib.bundles import BUILDER, OUTCOME, Bundle, Order, read_bundle, words
from builder.errors import BuilderError
from builder.progress import Progress
from builder.search.candidate import Candidate
from builder.search.findings import conclude
from builder.search.trial import Trial


class _Trial(Trial, frozen=True, kw_only=True):
    """A trial as the search prints it: with the variant's name."""

    variant: str


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    """What the benchmark reads of `edgewright-builder search --json`."""

    baseline: str | None
    trials: list[_Trial]


@dataclass(frozen=True, kw_only=True)
class Searched:
    """Bundles that a search tried, in its order, and what it concluded from its own timings."""

    bundles: tuple[Bundle, ...]
    #: The fastest within the bar, as the search tells its users.
    best: str
    #: Trials, those included that gave no variant.
    tried: int
    missed: tuple[str, ...]
    seconds: float


def run_search(order: Order, *, budget: int, max_top1_drop: float, progress: Progress) -> Searched:
    """Run `edgewright-builder search` and read what it tried; a finished search is not made again.

    Raises:
        BuilderError: the search found nothing, not even the baseline.
        ContractError: a bundle that it names cannot be read.
        OSError: the folder cannot be written.
    """
    options = {**order.options, "--budget": budget, "--max-top1-drop": max_top1_drop}
    with tempfile.TemporaryFile() as printed:
        last_line = _watch(order.architecture, options, printed, progress, budget)
        printed.seek(0)
        content = printed.read()
    try:
        document = msgspec.json.decode(content, type=_Document)
    except msgspec.MsgspecError:
        document = None
    if document is None or document.baseline is None:
        message = f"searching variants of {order.architecture} failed: {last_line}"
        raise BuilderError(message)
    return _read(order, document, budget, max_top1_drop)


def _watch(
    architecture: str,
    options: Mapping[str, object],
    printed: IO[bytes],
    progress: Progress,
    budget: int,
) -> str:
    """Last line on stderr of a search that has ended."""
    last_line, finished = "no reason given", 0
    with subprocess.Popen(
        [*BUILDER, "search", architecture, *words(options), "--no-report", "--json"],
        stdout=printed,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for line in process.stderr or ():
            last_line = line.strip() or last_line
            finished += OUTCOME.fullmatch(line.rstrip("\n")) is not None
            progress.update(f"searching: {last_line}", min(finished, budget), budget)
    return last_line


def _read(order: Order, document: _Document, budget: int, max_top1_drop: float) -> Searched:
    # An earlier run may have had a larger budget.
    trials = document.trials[:budget]
    names: dict[Candidate, str] = {trial.candidate: trial.variant for trial in trials}
    baseline = next(one.candidate for one in document.trials if one.variant == document.baseline)
    best = conclude(trials, baseline, max_top1_drop).best
    if best is None:
        message = f"the search did not come to the baseline, {document.baseline}"
        raise BuilderError(message)
    return Searched(
        bundles=tuple(
            read_bundle(order.out, trial.variant, trial.seconds)
            for trial in trials
            if trial.measurement is not None
        ),
        best=names[best.candidate],
        tried=len(trials),
        missed=tuple(
            f"{trial.variant}: {trial.reason}" for trial in trials if trial.measurement is None
        ),
        seconds=sum(trial.seconds for trial in trials),
    )
