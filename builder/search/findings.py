"""What a search has found so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from builder.front import pareto_front
from builder.search.candidate import Candidate
from builder.search.trial import Measurement, Trial

#: Accuracies are shares of counted images: a difference of rounding is none.
_ROUNDING = 1e-9


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The Pareto front and the winner among the trials that ended."""

    #: Trial of the baseline; None where it was not built, and no drop is known.
    baseline: Trial | None
    #: Trials that no other beats in time and top-1, the fastest first.
    front: tuple[Trial, ...]
    #: The fastest whose drop of top-1 is within the bar.
    best: Trial | None
    #: The most accurate one, where none meets the bar.
    nearest: Trial | None
    tried: int
    #: Trials that gave no variant, with reasons.
    failed: tuple[Trial, ...]


def conclude(trials: Sequence[Trial], baseline: Candidate, max_top1_drop: float) -> Findings:
    """Return what `trials` have found, which may be all or some of a search.

    Args:
        trials: finished trials.
        baseline: candidate that drops of top-1 are against.
        max_top1_drop: the bar, as a share: 0.01 is one point.
    """
    measured = measurements(trials)
    built = [trial for trial in trials if trial.candidate in measured]

    def top1(trial: Trial) -> float:
        return measured[trial.candidate].top1

    def p50_ms(trial: Trial) -> float:
        return measured[trial.candidate].p50_ms

    base = next((trial for trial in built if trial.candidate == baseline), None)
    within = []
    if base is not None:
        within = [t for t in built if meets_bar(top1(t), top1(base), max_top1_drop)]
    best = min(within, key=lambda trial: (p50_ms(trial), -top1(trial)), default=None)
    nearest = max(built, key=lambda trial: (top1(trial), -p50_ms(trial)), default=None)
    return Findings(
        baseline=base,
        front=tuple(pareto_front(built, gain=top1, costs=[p50_ms])),
        best=best,
        nearest=nearest if best is None else None,
        tried=len(trials),
        failed=tuple(trial for trial in trials if trial.candidate not in measured),
    )


def measurements(trials: Sequence[Trial]) -> Mapping[Candidate, Measurement]:
    """Measurement of each candidate that was built."""
    return {trial.candidate: trial.measurement for trial in trials if trial.measurement is not None}


def meets_bar(top1: float, baseline_top1: float, max_top1_drop: float) -> bool:
    """Whether `top1` is at most `max_top1_drop` below the baseline's."""
    return baseline_top1 - top1 <= max_top1_drop + _ROUNDING
