"""How the objectives narrowed the candidates down, in words."""

from __future__ import annotations

from collections.abc import Sequence

from fleet.choosing.decision import Evidence, Outcome, Ref, Step
from fleet.choosing.metric import Metric


def winning_words(evidence: Evidence, outcome: Outcome) -> str:
    """How the last deciding objective told the winner from the rest."""
    words, unmeasured = [], []
    for step in outcome.steps:
        metric = _metric_of(step)
        value = metric.of(evidence.candidate(step.best))
        if value is None:
            unmeasured.append(f"{metric.value} is not measured here")
        elif len(step.considered) == 1:
            break
        elif len(step.kept) == 1:
            words.append(f"best {metric.value} {metric.words(value)} of {len(step.considered)}")
        elif len(step.kept) == len(step.considered):
            words.append(f"{metric.value} tells none of {len(step.kept)} apart")
        else:
            words.append(f"{len(step.kept)} of {len(step.considered)} tie on {metric.value}")
    if outcome.steps and len(outcome.steps[-1].kept) > 1:
        words.append("least memory of these")
    return ", ".join([*unmeasured, *(words or ["better all round than everything else that fits"])])


def step_words(evidence: Evidence, step: Step) -> str:
    """One sentence on one objective: what was best, and what ties with it."""
    metric = _metric_of(step)
    best = evidence.candidate(step.best)
    value = metric.of(best)
    if value is None:
        return (
            f"{step.objective}: {metric.value} is not measured on this box: the objective tells "
            "nothing apart"
        )
    text = f"{step.objective}: best is {step.best} with {metric.words(value)}; "
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


def _metric_of(step: Step) -> Metric:
    return Metric(step.objective.split()[1])
