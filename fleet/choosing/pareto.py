"""Which candidates nothing else beats all round."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.choosing.candidate import Candidate
from fleet.choosing.metric import Metric

#: What a candidate costs in each metric.
_Costs = tuple[float, ...]


def dominators(
    candidates: Sequence[Candidate],
    metrics: Sequence[Metric],
) -> list[Candidate | None]:
    """For each candidate the first that is as good in every metric and better in one, or None."""
    costs = [_costs(one, metrics) for one in candidates]
    return [
        next(
            (one for one, other in zip(candidates, costs, strict=True) if _dominates(other, own)),
            None,
        )
        for own in costs
    ]


def pareto_front(
    candidates: Sequence[Candidate],
    metrics: Sequence[Metric],
) -> list[Candidate]:
    """Candidates that no other dominates, in their order; equal ones all stay."""
    costs = [_costs(one, metrics) for one in candidates]
    # In ascending order, whoever dominates comes first, and is in the front or dominated by one
    # that is.
    front: list[_Costs] = []
    for own in sorted(set(costs)):
        if not any(_dominates(other, own) for other in front):
            front.append(own)
    kept = set(front)
    return [one for one, own in zip(candidates, costs, strict=True) if own in kept]


def _costs(candidate: Candidate, metrics: Sequence[Metric]) -> _Costs:
    return tuple([metric.cost(candidate) for metric in metrics])


def _dominates(other: _Costs, own: _Costs) -> bool:
    if other == own:
        return False
    for theirs, ours in zip(other, own, strict=True):  # noqa: SIM110 - all() takes twice as long
        if theirs > ours:
            return False
    return True
