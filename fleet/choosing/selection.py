"""Choosing: limits, then the Pareto front, then the objectives in order. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.choosing.candidate import Candidate
from fleet.choosing.decision import (
    Assessment,
    Binding,
    Evidence,
    Incumbent,
    Outcome,
    Status,
    Step,
    Verdict,
    ref_of,
)
from fleet.choosing.demand import is_usable, shortfalls_of
from fleet.choosing.metric import Metric
from fleet.choosing.pareto import dominators, pareto_front
from fleet.choosing.terms import Constraint, Objective, Terms, Violation
from fleet.choosing.tie import is_tie


def decide(evidence: Evidence) -> Outcome:
    """Choose for one device; the same evidence gives the same outcome in any order.

    Only runs that ended well, reproduced the golden vectors and hold the evidence that the
    policy asks for count. Of those within all
    limits, the Pareto front over the objectives and peak memory is kept; each objective then
    keeps what its measurement cannot tell from the best; less memory breaks what is left.
    The present choice stays unless the winner beats it beyond the tie band. Where nothing is
    within the limits, the nearest miss is named: the smallest sum of relative excesses.
    """
    terms = evidence.terms
    candidates = sorted(evidence.candidates, key=ref_of)
    usable = [one for one in candidates if is_usable(one, terms.asked)]
    if not usable:
        return Outcome(
            status=Status.NO_DATA,
            assessments=tuple(_assess(one, terms) for one in candidates),
        )
    feasible = [one for one in usable if _fits(one, terms.constraints)]
    if not feasible:
        return _nearest_miss(candidates, usable, terms)
    winner, steps = _rank(feasible, terms.objectives)
    pick = _kept_or(winner, feasible, evidence.incumbent, terms.objectives)
    others = [one for one in feasible if one.variant != pick.variant]
    better = dict(
        zip(
            map(ref_of, feasible),
            dominators(feasible, _dimensions(terms.objectives)),
            strict=True,
        )
    )
    return Outcome(
        status=Status.CHOSEN,
        pick=ref_of(pick),
        assessments=tuple(
            _assess(one, terms, pick=pick, better=better.get(ref_of(one))) for one in candidates
        ),
        steps=tuple(steps),
        runner_up=ref_of(_rank(others, terms.objectives)[0]) if others else None,
        binding=tuple(_binding(usable, feasible, winner, terms)),
        challenger=ref_of(winner) if pick is not winner else None,
    )


def pick_within(
    usable: Sequence[Candidate],
    terms: Terms,
    incumbent: Incumbent | None,
) -> Candidate | None:
    """What `decide` would pick of usable candidates under `terms`; None where nothing fits."""
    feasible = [one for one in usable if _fits(one, terms.constraints)]
    if not feasible:
        return None
    winner, _ = _rank(feasible, terms.objectives)
    return _kept_or(winner, feasible, incumbent, terms.objectives)


def violations_of(
    candidate: Candidate,
    constraints: Sequence[Constraint],
) -> tuple[Violation, ...]:
    """Limits that a candidate breaks."""
    broken = (constraint.violation_by(candidate) for constraint in constraints)
    return tuple(violation for violation in broken if violation is not None)


def _fits(candidate: Candidate, constraints: Sequence[Constraint]) -> bool:
    return all(constraint.is_met(constraint.metric.of(candidate)) for constraint in constraints)


def _rank(
    feasible: Sequence[Candidate],
    objectives: Sequence[Objective],
) -> tuple[Candidate, list[Step]]:
    left = pareto_front(feasible, _dimensions(objectives))
    steps = []
    for objective in objectives:
        metric = objective.metric
        best = min(left, key=lambda one: (metric.cost(one), *_frugality(one)))
        kept = [one for one in left if is_tie(metric, best, one)]
        steps.append(
            Step(
                objective=str(objective),
                best=ref_of(best),
                considered=tuple(ref_of(one) for one in left),
                kept=tuple(ref_of(one) for one in kept),
            ),
        )
        left = kept
    return min(left, key=_frugality), steps


def _dimensions(objectives: Sequence[Objective]) -> list[Metric]:
    return list(dict.fromkeys([*(one.metric for one in objectives), Metric.PEAK_RSS_MB]))


def _frugality(candidate: Candidate) -> tuple[float, int, int, str]:
    """Order of what ties: less memory, fewer threads, a smaller file, then the name."""
    return (
        Metric.PEAK_RSS_MB.cost(candidate),
        candidate.threads,
        candidate.bytes,
        candidate.variant,
    )


def _present(feasible: Sequence[Candidate], incumbent: Incumbent | None) -> Candidate | None:
    if incumbent is None:
        return None
    same = (
        one for one in feasible if ref_of(one) == incumbent.ref and one.sha256 == incumbent.sha256
    )
    return next(same, None)


def _kept_or(
    winner: Candidate,
    feasible: Sequence[Candidate],
    incumbent: Incumbent | None,
    objectives: Sequence[Objective],
) -> Candidate:
    """The present choice where `winner` does not beat it, else `winner`."""
    present = _present(feasible, incumbent)
    if present is None or _beats(winner, present, objectives):
        return winner
    return present


def _beats(winner: Candidate, present: Candidate, objectives: Sequence[Objective]) -> bool:
    """Whether the first objective that tells the two apart speaks for `winner`."""
    metric = first_difference(winner, present, objectives)
    return metric is not None and metric.cost(winner) < metric.cost(present)


def _nearest_miss(
    candidates: Sequence[Candidate],
    usable: Sequence[Candidate],
    terms: Terms,
) -> Outcome:
    def distance(one: Candidate) -> tuple[float, ...]:
        excess = sum(limit.excess(limit.metric.of(one)) for limit in terms.constraints)
        wishes = (objective.metric.cost(one) for objective in terms.objectives)
        return (excess, *wishes)

    pick = min(usable, key=lambda one: (distance(one), _frugality(one)))
    return Outcome(
        status=Status.NEAREST_MISS,
        pick=ref_of(pick),
        violated=violations_of(pick, terms.constraints),
        assessments=tuple(_assess(one, terms) for one in candidates),
    )


def _binding(
    usable: Sequence[Candidate],
    feasible: Sequence[Candidate],
    winner: Candidate,
    terms: Terms,
) -> list[Binding]:
    bindings = []
    for dropped in terms.constraints:
        rest = [one for one in terms.constraints if one is not dropped]
        freed = [one for one in usable if _fits(one, rest)]
        if len(freed) == len(feasible):
            # It keeps nobody out, so the winner is the same without it.
            continue
        instead, _ = _rank(freed, terms.objectives)
        if instead is not winner:
            bindings.append(
                Binding(constraint=str(dropped), origin=dropped.origin, instead=ref_of(instead))
            )
    return bindings


def _assess(
    candidate: Candidate,
    terms: Terms,
    *,
    pick: Candidate | None = None,
    better: Candidate | None = None,
) -> Assessment:
    """Verdict on a candidate; `better` is as good all round and better."""
    ref = ref_of(candidate)
    if candidate.failure is not None:
        return Assessment(ref=ref, verdict=Verdict.FAILED, failure=candidate.failure)
    shortfalls = shortfalls_of(candidate, terms.asked)
    if shortfalls:
        words = "; ".join(shortfalls)
        return Assessment(ref=ref, verdict=Verdict.INSUFFICIENT, failure=words)
    violations = violations_of(candidate, terms.constraints)
    if violations:
        return Assessment(ref=ref, verdict=Verdict.INFEASIBLE, violations=violations)
    if candidate is pick:
        return Assessment(ref=ref, verdict=Verdict.CHOSEN)
    if better is not None:
        return Assessment(ref=ref, verdict=Verdict.DOMINATED, dominated_by=ref_of(better))
    return Assessment(ref=ref, verdict=Verdict.FEASIBLE)


def first_difference(
    one: Candidate,
    other: Candidate,
    objectives: Sequence[Objective],
) -> Metric | None:
    """First objective's metric that tells two candidates apart; None where all tie."""
    for objective in objectives:
        if not is_tie(objective.metric, one, other):
            return objective.metric
    return None
