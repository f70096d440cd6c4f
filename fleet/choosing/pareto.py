"""Which candidates nothing else beats all round."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.choosing.candidate import Candidate
from fleet.choosing.metric import Metric


def dominator(
    candidate: Candidate,
    others: Sequence[Candidate],
    metrics: Sequence[Metric],
) -> Candidate | None:
    """Return a candidate at least as good in every metric and better in one, or None."""
    own = [metric.cost(candidate) for metric in metrics]
    for other in others:
        costs = [metric.cost(other) for metric in metrics]
        if costs != own and all(a <= b for a, b in zip(costs, own, strict=True)):
            return other
    return None


def pareto_front(
    candidates: Sequence[Candidate],
    metrics: Sequence[Metric],
) -> list[Candidate]:
    """Candidates that no other dominates; equal ones all stay."""
    return [one for one in candidates if dominator(one, candidates, metrics) is None]
