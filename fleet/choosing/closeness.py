"""What would tell apart the pick and a variant that seems better, but ties with it."""

from __future__ import annotations

import math

from contract.interval import share_gap
from fleet.choosing.candidate import Candidate
from fleet.choosing.decision import Evidence, Outcome, Status
from fleet.choosing.metric import Metric
from fleet.choosing.tie import MATERIAL_SHARE, is_tie

#: A set of more images than this nobody has.
_MOST_IMAGES = 10_000_000


def closeness_words(evidence: Evidence, outcome: Outcome) -> str | None:
    """One sentence on the first objective that the pick does not lead, only ties on.

    None where the pick leads them all, or there is no pick.
    """
    if outcome.status is not Status.CHOSEN or outcome.pick is None:
        return None
    pick = evidence.candidate(outcome.pick)
    for step in outcome.steps:
        metric = Metric(step.objective.split()[1])
        best = evidence.candidate(step.best)
        ours, theirs = metric.of(pick), metric.of(best)
        if ours is None or theirs is None or not metric.cost(best) < metric.cost(pick):
            continue
        if not is_tie(metric, best, pick):
            return None
        begin = f"{step.best} has {metric.value} {metric.words(theirs)}, {outcome.pick} "
        begin += f"{metric.words(ours)}: "
        if metric.is_share:
            return begin + _image_words(metric, best, pick)
        if abs(ours - theirs) <= MATERIAL_SHARE * min(abs(ours), abs(theirs)):
            share = f"{MATERIAL_SHARE * 100:g} %"
            return f"{begin}less than {share}, which is worth no change however well measured"
        return f"{begin}their intervals overlap; longer runs in more processes may tell them apart"
    return None


def images_to_tell_apart(higher: float, lower: float) -> int | None:
    """Images on which two shares would have to be counted to be told apart at 95 %.

    By the same interval as the choice's own ties, for two counts on so many images each, if
    the shares stayed what they are. None where they are equal or it takes over ten million.
    """
    if not higher > lower or share_gap(higher, _MOST_IMAGES, lower, _MOST_IMAGES).low <= 0:
        return None
    too_few, enough = 0, _MOST_IMAGES
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if share_gap(higher, middle, lower, middle).low > 0:
            enough = middle
        else:
            too_few = middle
    return enough


def _image_words(metric: Metric, best: Candidate, pick: Candidate) -> str:
    counted = Metric.TOP3 if metric is Metric.TOP3 else Metric.TOP1
    higher, lower = counted.of(best), counted.of(pick)
    images = min(best.accuracy_images, pick.accuracy_images)
    said = f"{images:,} images do not tell them apart"
    if higher is None or lower is None:
        return said
    needed = images_to_tell_apart(higher, lower)
    if needed is None:
        return f"{said}, nor would any number of them"
    digits = 10 ** max(0, len(str(needed)) - 2)
    about = math.ceil(needed / digits) * digits
    return f"{said}; about {about:,} would, if the shares stayed"
