"""A stored decision in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from fleet.choosing.candidate import Candidate
from fleet.choosing.decision import Assessment, Evidence, Outcome, Ref, Status, Step, Verdict
from fleet.choosing.metric import Metric
from fleet.choosing.selection import first_difference
from fleet.choosing.worth import worth_of_each


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A decision told in sentences; each list may be empty."""

    headline: str
    #: How the objectives narrowed the candidates down.
    course: list[str]
    runner_up: str | None
    #: Which limits decide, and what would be picked without each.
    limits: list[str]
    #: Optimisations that bring less than 5 % on this box.
    not_worth_it: list[str]
    failed: list[str]


def explain(evidence: Evidence, outcome: Outcome) -> Explanation:
    """Tell a decision from its stored inputs and outcome alone."""
    return Explanation(
        headline=f"{_status_words(outcome)}: {reason(evidence, outcome)}",
        course=[_step_words(evidence, step) for step in outcome.steps],
        runner_up=_runner_up_words(evidence, outcome),
        limits=_limit_words(evidence, outcome),
        not_worth_it=[
            f"{worth.what}: {worth.ratio:.2f}x on this box ({worth.variant} against "
            f"{worth.parent}, {worth.threads} thread{'' if worth.threads == 1 else 's'})"
            for worth in worth_of_each(evidence.candidates)
            if not worth.pays
        ],
        failed=[
            f"{one.ref}: {one.failure}"
            for one in outcome.assessments
            if one.verdict is Verdict.FAILED
        ],
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
    return _winning_words(evidence, outcome)


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
    kinds = Counter((one.failure or "").partition(":")[0] for one in outcome.assessments)
    failures = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    failed = f"no usable run among {len(outcome.assessments)}: {failures}"
    return f"{failed}; {stale}" if stale else failed


def _winning_words(evidence: Evidence, outcome: Outcome) -> str:
    """How the last deciding objective told the winner from the rest."""
    words = []
    for step in outcome.steps:
        metric = _metric_of(step)
        value = metric.of(evidence.candidate(step.best))
        if len(step.considered) == 1:
            break
        if len(step.kept) == 1:
            shown = "" if value is None else f" {metric.words(value)}"
            words.append(f"best {metric.value}{shown} of {len(step.considered)}")
        elif len(step.kept) == len(step.considered):
            words.append(f"{metric.value} tells none of {len(step.kept)} apart")
        else:
            words.append(f"{len(step.kept)} of {len(step.considered)} tie on {metric.value}")
    if outcome.steps and len(outcome.steps[-1].kept) > 1:
        words.append("least memory of these")
    return ", ".join(words) or "better all round than everything else that fits"


def _step_words(evidence: Evidence, step: Step) -> str:
    metric = _metric_of(step)
    best = evidence.candidate(step.best)
    value = metric.of(best)
    shown = "unmeasured" if value is None else metric.words(value)
    text = f"{step.objective}: best is {step.best} with {shown}; "
    if len(step.considered) == 1:
        return f"{text}it is the only one left"
    images = f" on {best.accuracy_images} images" if metric.is_share else ""
    if len(step.kept) == 1:
        others = len(step.considered) - 1
        rest = "the other is" if others == 1 else f"the other {others} are"
        return f"{text}{rest} worse beyond the tie band{images}"
    if len(step.kept) == len(step.considered):
        text += f"{metric.value}{images} tells none of the {len(step.kept)} apart"
    else:
        text += f"{len(step.kept)} of {len(step.considered)} tie with it{images}"
    text += f", down to {_worst_words(evidence, metric, step.kept)}"
    if metric.is_share and len(step.kept) == len(step.considered):
        text += "; measure accuracy on more images if accuracy shall decide"
    return text


def _worst_words(evidence: Evidence, metric: Metric, refs: Sequence[Ref]) -> str:
    worst = max((evidence.candidate(ref) for ref in refs), key=metric.cost)
    value = metric.of(worst)
    return "unmeasured" if value is None else metric.words(value)


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


def _gap_words(metric: Metric, pick: Candidate, rival: Candidate) -> str:
    ours, theirs = metric.of(pick), metric.of(rival)
    if ours is None or theirs is None:
        return "was not measured for both"
    return f"{metric.words(theirs)} against {metric.words(ours)}"


def _limit_words(evidence: Evidence, outcome: Outcome) -> list[str]:
    if outcome.status is Status.NEAREST_MISS:
        return [f"{violation} (set by {violation.origin})" for violation in outcome.violated]
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


def _metric_of(step: Step) -> Metric:
    return Metric(step.objective.split()[1])
