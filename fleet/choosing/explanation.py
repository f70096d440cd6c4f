"""A stored decision in words."""

from __future__ import annotations

from collections import Counter

import msgspec

from fleet.choosing.candidate import Candidate
from fleet.choosing.closeness import closeness_words
from fleet.choosing.course import step_words, winning_words
from fleet.choosing.decision import Assessment, Evidence, Outcome, Status, Verdict, ref_of
from fleet.choosing.demand import is_usable
from fleet.choosing.margin import Margin, margin_between
from fleet.choosing.metric import Metric
from fleet.choosing.prospect import Prospect, prospects_of
from fleet.choosing.selection import first_difference
from fleet.choosing.worth import Worth, best_of_each_kind, worth_of_each


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A decision told in sentences; each list may be empty."""

    headline: str
    #: How the objectives narrowed the candidates down.
    course: list[str]
    runner_up: str | None
    #: The pick against the runner-up, in each objective.
    margins: list[Margin]
    #: Which limits decide, and what would be picked without each.
    limits: list[str]
    #: Variants outside the limits, and what would let them in.
    prospects: list[Prospect]
    #: What would tell the pick from a variant that seems better, but ties with it.
    closeness: str | None
    #: What each kind of optimisation brings on this box at its best, of those that pay.
    worth_it: list[str]
    #: Optimisations that bring less than 5 % on this box.
    not_worth_it: list[str]
    failed: list[str]
    #: Runs that ended well, but hold less evidence than the policy asks for.
    insufficient: list[str]


def explain(evidence: Evidence, outcome: Outcome) -> Explanation:
    """Tell a decision from its stored inputs and outcome alone."""
    worths = worth_of_each(_usable(evidence))
    return Explanation(
        headline=f"{_status_words(outcome)}: {reason(evidence, outcome)}",
        course=[step_words(evidence, step) for step in outcome.steps],
        runner_up=_runner_up_words(evidence, outcome),
        margins=_margins(evidence, outcome),
        limits=_limit_words(evidence, outcome),
        prospects=prospects_of(evidence, outcome),
        closeness=closeness_words(evidence, outcome),
        worth_it=[_worth_words(one) for one in best_of_each_kind(worths)],
        not_worth_it=[_worth_words(one) for one in worths if not one.pays],
        failed=_failures(outcome, Verdict.FAILED),
        insufficient=_failures(outcome, Verdict.INSUFFICIENT),
    )


def reason(evidence: Evidence, outcome: Outcome) -> str:
    """One sentence: why this outcome."""
    if outcome.status is Status.NO_DATA:
        return _no_data_words(evidence, outcome)
    if outcome.status is Status.NEAREST_MISS:
        return "; ".join(str(violation) for violation in outcome.violated)
    feasible = sum(
        one.verdict in (Verdict.CHOSEN, Verdict.FEASIBLE, Verdict.DOMINATED)
        for one in outcome.assessments
    )
    if feasible == 1:
        return "the only one within the limits"
    if outcome.challenger is not None:
        return f"kept: {outcome.challenger} is not better beyond the tie band"
    return winning_words(evidence, outcome)


def assessment_words(assessment: Assessment) -> str:
    """Say in a few words what became of one candidate."""
    match assessment.verdict:
        case Verdict.CHOSEN:
            return "chosen"
        case Verdict.FEASIBLE:
            return "fits"
        case Verdict.DOMINATED:
            return f"fits, but {assessment.dominated_by} is as good all round and better"
        case Verdict.INFEASIBLE:
            return "; ".join(str(violation) for violation in assessment.violations)
        case Verdict.FAILED:
            return f"failed: {assessment.failure}"
        case Verdict.INSUFFICIENT:
            return f"too little evidence: {assessment.failure}"


def _usable(evidence: Evidence) -> list[Candidate]:
    usable = (one for one in evidence.candidates if is_usable(one, evidence.terms.asked))
    return sorted(usable, key=ref_of)


def _failures(outcome: Outcome, verdict: Verdict) -> list[str]:
    return [f"{one.ref}: {one.failure}" for one in outcome.assessments if one.verdict is verdict]


def _worth_words(worth: Worth) -> str:
    return (
        f"{worth.what}: {worth.ratio:.2f}x on this box ({worth.variant} against "
        f"{worth.parent}, {worth.threads} thread{'' if worth.threads == 1 else 's'})"
    )


def _status_words(outcome: Outcome) -> str:
    if outcome.status is Status.NO_DATA:
        return "no data"
    verb = "chosen" if outcome.status is Status.CHOSEN else "nothing fits; nearest miss"
    return f"{verb} {outcome.pick}"


def _no_data_words(evidence: Evidence, outcome: Outcome) -> str:
    stale = (
        f"{evidence.stale_runs} older runs are of another bundle set or environment"
        if evidence.stale_runs
        else ""
    )
    if not outcome.assessments:
        return stale or "nothing was measured yet"
    failed = [one for one in outcome.assessments if one.verdict is Verdict.FAILED]
    kinds = Counter((one.failure or "").partition(":")[0] for one in failed)
    causes = [f"{count} {kind}" for kind, count in kinds.most_common()]
    if len(failed) < len(outcome.assessments):
        causes.append(f"{len(outcome.assessments) - len(failed)} with too little evidence")
    words = f"no usable run among {len(outcome.assessments)}: {', '.join(causes)}"
    words += _evidence_words(evidence)
    return f"{words}; {stale}" if stale else words


def _evidence_words(evidence: Evidence) -> str:
    """What the runs lack that ended well, for the first of each kind, and what to do."""
    ended_well = [one for one in sorted(evidence.candidates, key=ref_of) if one.failure is None]
    found = []
    for demand in evidence.terms.asked:
        short = [words for words in map(demand.shortfall, ended_well) if words is not None]
        if short:
            found.append(f"{short[0]}: {demand.kind.remedy}")
    return f" ({'; '.join(found)})" if found else ""


def _runner_up_words(evidence: Evidence, outcome: Outcome) -> str | None:
    if outcome.pick is None or outcome.runner_up is None:
        return None
    pick, rival = evidence.candidate(outcome.pick), evidence.candidate(outcome.runner_up)
    metric = first_difference(pick, rival, evidence.terms.objectives)
    if metric is None:
        gap = _gap_words(Metric.PEAK_RSS_MB, pick, rival)
        return f"{outcome.runner_up}: ties on every objective; peak_rss_mb {gap}"
    gap = _gap_words(metric, pick, rival)
    return f"{outcome.runner_up}: {metric.value} {gap}, beyond the tie band"


def _margins(evidence: Evidence, outcome: Outcome) -> list[Margin]:
    if outcome.pick is None or outcome.runner_up is None:
        return []
    pick, rival = evidence.candidate(outcome.pick), evidence.candidate(outcome.runner_up)
    return [margin_between(one.metric, pick, rival) for one in evidence.terms.objectives]


def _gap_words(metric: Metric, pick: Candidate, rival: Candidate) -> str:
    ours, theirs = metric.of(pick), metric.of(rival)
    if ours is None or theirs is None:
        return "was not measured for both"
    return f"{metric.words(theirs)} against {metric.words(ours)}"


def _limit_words(evidence: Evidence, outcome: Outcome) -> list[str]:
    if outcome.status is Status.NEAREST_MISS:
        broken = [f"{violation} (set by {violation.origin})" for violation in outcome.violated]
        return [*broken, *_unmeasured_words(evidence)]
    if outcome.status is Status.NO_DATA:
        return []
    if not evidence.terms.constraints:
        return ["the policy sets no limit"]
    if not outcome.binding:
        return ["no limit binds: without any one of them the pick is the same"]
    return [
        f"{one.constraint} (set by {one.origin}) binds: without it, {one.instead}"
        for one in outcome.binding
    ]


def _unmeasured_words(evidence: Evidence) -> list[str]:
    """Limits on what this box does not measure at all: nothing can ever keep those."""
    usable = _usable(evidence)
    return [
        f"{limit.metric.value} is not measured on this box, so nothing can keep {limit} (set by "
        f"{limit.origin}); set it only for groups of boxes that measure it"
        for limit in evidence.terms.constraints
        if all(limit.metric.of(one) is None for one in usable)
    ]
