"""Top-1 of all contenders on the same images, one image at a time, as a device runs them."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.lib.contender import Contender
from benchmarks.lib.report import TopOne
from benchmarks.lib.subject import read_input
from builder.data.classes import Classes
from builder.data.dataset import Sample
from builder.progress import Progress, tracked
from contract.interval import paired_gap, wilson


def answers_of(
    contenders: Sequence[Contender],
    samples: Sequence[Sample],
    progress: Progress,
    activity: str,
) -> dict[str, list[int]]:
    """Highest output of each contender for each image, by the contender's name."""
    answers: dict[str, list[int]] = {contender.name: [] for contender in contenders}
    rules = list(dict.fromkeys(contender.rule for contender in contenders))
    for sample in tracked(samples, progress, activity, len(samples)):
        images = {rule: read_input(sample.path, rule) for rule in rules}
        for contender in contenders:
            logits = contender.logits(images[contender.rule])
            answers[contender.name].append(int(logits[0].argmax()))
    return answers


def right_outputs(samples: Sequence[Sample], classes: Classes) -> list[tuple[int, ...]]:
    """Outputs that are right for each image; the data set must be labelled."""
    return [classes.outputs[sample.folder] for sample in samples if sample.folder is not None]


def grade(answers: Sequence[int], of_base: Sequence[int], right: Sequence[Sequence[int]]) -> TopOne:
    """Top-1 of one contender, and how it stands against the base's on the same images."""
    hits = [answer in outputs for answer, outputs in zip(answers, right, strict=True)]
    base_hits = [answer in outputs for answer, outputs in zip(of_base, right, strict=True)]
    images = len(right)
    top1, base_top1 = sum(hits) / images, sum(base_hits) / images
    is_base = answers is of_base
    pairs = zip(answers, of_base, strict=True)
    return TopOne(
        top1=top1,
        interval=wilson(top1, images),
        images=images,
        gap_to_base=None if is_base else top1 - base_top1,
        gap_interval=None if is_base else paired_gap(hits, base_hits),
        agreement_with_base=sum(mine == its for mine, its in pairs) / images,
    )
